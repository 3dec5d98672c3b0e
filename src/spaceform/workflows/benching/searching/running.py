"""The run: a process per method and data set, figures kept so that a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import spaceform.search
from spaceform.data.fetching.cache import cache_folder
from spaceform.errors import InputError
from spaceform.files import write_text_whole, write_whole
from spaceform.types import IntArray, Progress, no_progress
from spaceform.workflows.benching.searching.beds import BEDS, FOLDERS, OTHERS, Bed, Questions, make
from spaceform.workflows.benching.searching.masks import Masks
from spaceform.workflows.benching.searching.measuring import measure, truths
from spaceform.workflows.benching.searching.method import Method
from spaceform.workflows.benching.searching.peers import methods

OURS = "spaceform"

GRACE = 60.0
"""Seconds after its time in which a method must have finished the cell that it is at; then it is stopped."""

_RECIPE = 3
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")


@dataclass(frozen=True)
class Terms:
    """What is asked of every method: batches on so many ``threads``, and so many ``seeds`` of queries and filters."""

    threads: Sequence[int] = (1, 2)
    seeds: int = 1


def figures_of(
    data: Sequence[str], names: Sequence[str], terms: Terms, *, fresh: bool, progress: Progress = no_progress
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the figures by data set and method; ``note`` stands for those of a method that has none.

    Figures that an earlier run kept are taken as they are unless ``fresh``: those of the same rows, questions, code,
    versions, machine and numbers of threads.
    """
    known = methods()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for bed_name in data:
        bed, folder = None, cache_folder("bench-search")
        rows = found.setdefault(bed_name, {})
        for place, name in enumerate(names):
            progress(f"{bed_name}: {name}", place, len(names))
            method = known[name]
            if not is_installed(method):
                rows[name] = {"note": "not installed"}
                continue
            bed = bed or prepared(bed_name, folder, terms.seeds, progress)
            if len(bed.X) > method.largest:
                why = f": {method.reason}" if method.reason else ""
                rows[name] = {"note": f"not run on more than {method.largest:,} rows{why}"}
                continue
            label = "-".join(re.findall("[a-z0-9]+", f"{bed_name.partition(':')[0]}-{name}".lower()))
            path = folder / f"{label}-{_key(bed, method, terms)}.json"
            if fresh or not path.is_file():
                path.unlink(missing_ok=True)
                rows[name] = _child(bed_name, method, terms, path)
            else:
                rows[name] = json.loads(path.read_text(encoding="utf-8"))
    progress("filtered search", 1, 1)
    return found


def is_installed(method: type[Method]) -> bool:
    """Whether the package of a method can be imported."""
    return not method.package or importlib.util.find_spec(method.package) is not None


def prepared(name: str, folder: Path, seeds: int, progress: Progress = no_progress) -> Bed:
    """Return a bed, with its true answers in files of ``folder`` for the processes that measure."""
    bed = make(name, seeds, progress)
    masks = None
    for done, questions in enumerate((bed.tune, *bed.seeds)):
        path = _truth_path(bed, questions, folder)
        if not path.is_file():
            progress(f"true answers of {name}", done, 1 + seeds)
            masks = masks or Masks(bed.columns, len(bed.X))
            lists = list(itertools.chain.from_iterable(truths(bed, masks, questions)))
            sizes, ids = np.array([len(one) for one in lists]), np.concatenate(lists)
            write_whole(path, partial(np.savez, sizes=sizes, ids=ids))
    return bed


def known_truths(bed: Bed, questions: Questions, folder: Path) -> list[list[IntArray]]:
    """Return the true answers, per cell and query."""
    with np.load(_truth_path(bed, questions, folder), allow_pickle=False) as stored:
        lists = np.split(stored["ids"], np.cumsum(stored["sizes"])[:-1])
    q = len(questions.queries)
    return [lists[start : start + q] for start in range(0, len(lists), q)]


def run_one(bed_name: str, method: str, terms: Terms, path: str) -> None:
    """Measure one method on one data set in this process, and write the figures."""
    bed, folder = make(bed_name, terms.seeds), cache_folder("bench-search")
    known = [known_truths(bed, questions, folder) for questions in (bed.tune, *bed.seeds)]
    _write(Path(path), measure(methods()[method](), bed, known, threads=terms.threads))


def _write(path: Path, figures: Mapping[str, Any]) -> None:
    write_text_whole(path, json.dumps(figures, indent=1, sort_keys=True))


def _child(bed: str, method: type[Method], terms: Terms, path: Path) -> dict[str, Any]:
    """Measure in a process of its own; one that fails has a note for figures, and is tried again by the next run."""
    code = (
        "from spaceform.workflows.benching.searching.running import Terms, run_one; "
        f"run_one({bed!r}, {method.name!r}, Terms({tuple(terms.threads)!r}, {terms.seeds!r}), {str(path)!r})"
    )
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(max(terms.threads))), "RUST_LOG": "error"}
    try:
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True,
            timeout=method.seconds + GRACE, check=False, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        note = {"note": f"not built in {method.seconds:g} s"}
        _write(path, note)
        return note
    if done.returncode or not path.is_file():
        lines = [line for line in done.stderr.strip().splitlines() if line.strip(" ^~")]
        return {"note": f"failed: {(lines or ['it died without a word'])[-1].strip()[:300]}"}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _key(bed: Bed, method: type[Method], terms: Terms) -> str:
    """Return what the figures depend on, as 12 hexadecimal digits."""
    version = _version(method.package) if method.package else _code(reference=method.reference)
    asked = [_digest(bed, questions) for questions in (bed.tune, *bed.seeds)]
    parts: list[Any] = [
        _RECIPE, asked, method.name, list(method.grid), version, list(terms.threads), os.cpu_count(),
        platform.machine(),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _version(package: str) -> str:
    for name in importlib.metadata.packages_distributions().get(package, []):
        return f"{name} {importlib.metadata.version(name)}"
    return package


def _code(*, reference: bool) -> str:
    """Return a digest of our code of search; methods of papers do without the filtered index but for its scans."""
    home = Path(spaceform.search.__path__[0])
    digest = hashlib.sha256()
    for path in sorted(home.rglob("*.py")):
        if not reference or path.parent != home / "filtered":
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _digest(bed: Bed, questions: Questions) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(bed.X[:: max(1, len(bed.X) // 1_000)]).tobytes())
    digest.update(f"{bed.X.shape}".encode() + questions.queries.tobytes())
    digest.update("\n".join(str(where) for cell in questions.cells for where in cell.where).encode())
    return digest.hexdigest()[:16]


def _truth_path(bed: Bed, questions: Questions, folder: Path) -> Path:
    return folder / f"truth-{bed.name.partition(':')[0]}-{_digest(bed, questions)}.npz"


def check_names(given: Sequence[str] | None, known: Mapping[str, Any], what: str) -> list[str]:
    """Return the names that were given, or all of them; raises ``InputError`` for one that is unknown."""
    for name in given or ():
        if name not in known:
            raise InputError(what, got=repr(name), expected="one of " + ", ".join(map(repr, known)))
    return list(given or known)


def check_data(given: Sequence[str] | None) -> list[str]:
    """Return the data sets that were given, or those of the full run; a folder's are "name:folder"."""
    named = [name for name in given or () if ":" not in name]
    check_names(named, {**BEDS, **OTHERS}, "data")
    check_names([name.partition(":")[0] for name in given or () if ":" in name], FOLDERS, "data")
    return list(given or BEDS)
