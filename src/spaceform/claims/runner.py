"""Runs a claim: every arm on every seed, one small file per finished unit, so that a killed run can go on."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from spaceform import papers
from spaceform.checks import check_choice, check_integer
from spaceform.claims import record as records
from spaceform.claims.context import Context
from spaceform.claims.record import Record
from spaceform.claims.verdict import Judged, judge, overall
from spaceform.errors import InputError
from spaceform.types import Progress, no_progress

SCALES = ("smoke", "laptop", "paper")


class Claim(Protocol):
    """What a module ``claims/<purpose>/<slug>.py`` offers."""

    SLUG: str
    ARMS: Mapping[str, str]
    SETTINGS: Mapping[str, Mapping[str, Any]]

    def run(self, arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
        """Run one arm on one seed and return its raw figures."""
        ...

    def mechanism(self, record: Record) -> None:
        """Assert what the idea does, whatever the accuracy; raises ``AssertionError`` with the figures."""
        ...


def find(slug: str) -> Claim:
    """Return the claim module of a paper. Raises ``InputError`` when the paper has none yet."""
    paper = papers.load(slug)
    name = _address(paper)
    if not _exists(paper):
        raise InputError(
            "slug", got=repr(slug), expected="one of " + ", ".join(available()), remedy="it has no claim yet"
        )
    module: ModuleType = importlib.import_module(name)
    return cast("Claim", module)


def available() -> list[str]:
    """Return the slugs of the papers whose claim exists."""
    return [paper.slug for paper in papers.all_papers() if _exists(paper)]


def _address(paper: papers.Paper) -> str:
    return f"spaceform.claims.{paper.purpose}.{paper.module}"


def _exists(paper: papers.Paper) -> bool:
    try:
        return importlib.util.find_spec(_address(paper)) is not None
    except ModuleNotFoundError:  # no claim of this purpose yet
        return False


def reproduce(
    slug: str,
    *,
    scale: str = "laptop",
    seeds: Sequence[int] | None = None,
    root: Path | None = None,
    results: Path | None = None,
    jobs: int = 1,
    fresh: bool = False,
    progress: Progress = no_progress,
) -> Record:
    """Run the claim of one paper and return its judged record.

    Parameters: ``seeds`` default to those of the paper's record (two of them at smoke scale); ``root`` is the
    benchmark folder (paper scale); ``results`` the folder to write to (None: nothing is written and nothing is
    resumed); ``jobs`` processes work on different seeds, one thread each; ``fresh`` forgets finished units.

    Finished units lie in ``<results>/.partial`` until the claim is whole; they count only for the same record,
    code and settings. Raises ``InputError`` for unknown slugs, scales and seeds.
    """
    claim = find(slug)
    check_choice(scale, "scale", SCALES)
    check_integer(jobs, "jobs", low=1)
    paper = papers.load(slug)
    chosen = _seeds(seeds, paper, scale)
    settings = claim.SETTINGS[scale]
    key = _key(paper.slug, scale, settings, root)
    store = _Units(results and results / ".partial" / f"{paper.slug}.{scale}.{key}", fresh=fresh)
    total = len(chosen) * len(claim.ARMS)
    todo = {seed: [arm for arm in claim.ARMS if store.get(arm, seed) is None] for seed in chosen}
    done = total - sum(map(len, todo.values()))
    progress(f"{paper.slug} ({scale})", done, total)
    if jobs == 1 or results is None:
        for seed, arms in todo.items():
            context = Context(scale=scale, root=root, progress=progress)
            for arm in arms:
                store.put(arm, seed, _unit(claim, arm, seed, settings, context))
                done += 1
                progress(f"{paper.slug} ({scale})", done, total)
    else:
        pending = {seed: arms for seed, arms in todo.items() if arms}
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = [
                pool.submit(_work, slug, scale, seed, arms, root, store.folder) for seed, arms in pending.items()
            ]
            for future in as_completed(futures):
                done += future.result()
                progress(f"{paper.slug} ({scale})", done, total)
    made = _assemble(claim, paper, scale, chosen, store)
    if results is not None:
        records.write(made, results)
        store.clear()
    return made


def _work(slug: str, scale: str, seed: int, arms: Sequence[str], root: Path | None, folder: Path | None) -> int:
    import torch

    torch.set_num_threads(1)
    claim, context = find(slug), Context(scale=scale, root=root)
    store = _Units(folder, fresh=False)
    for arm in arms:
        store.put(arm, seed, _unit(claim, arm, seed, claim.SETTINGS[scale], context))
    return len(arms)


def _unit(claim: Claim, arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, Any]:
    begun = time.monotonic()
    figures = {name: float(value) for name, value in claim.run(arm, seed, settings, context).items()}
    seconds = round(time.monotonic() - begun, 3)
    return {"arm": arm, "seed": seed, "seconds": seconds, "figures": figures, "curves": context.curves.pop(arm, {})}


class _Units:
    """Finished units, in memory and, with a folder, one file each."""

    def __init__(self, folder: Path | None, *, fresh: bool) -> None:
        self.folder = folder
        self._units: dict[tuple[str, int], dict[str, Any]] = {}
        if fresh:
            self.clear()

    def get(self, arm: str, seed: int) -> dict[str, Any] | None:
        if (arm, seed) not in self._units and self.folder is not None:
            path = self.folder / f"{arm}-{seed}.json"
            if path.exists():
                self._units[arm, seed] = json.loads(path.read_text())
        return self._units.get((arm, seed))

    def put(self, arm: str, seed: int, unit: dict[str, Any]) -> None:
        self._units[arm, seed] = unit
        if self.folder is not None:
            records.write_json(self.folder / f"{arm}-{seed}.json", unit)

    def clear(self) -> None:
        self._units.clear()
        if self.folder is not None and self.folder.is_dir():
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()


def _assemble(claim: Claim, paper: papers.Paper, scale: str, seeds: Sequence[int], store: _Units) -> Record:
    units = [store.get(arm, seed) for arm in claim.ARMS for seed in seeds]
    whole = [unit for unit in units if unit is not None]
    curves: dict[str, dict[str, Any]] = {}
    for unit in whole:
        for name, curve in unit.pop("curves", {}).items():
            curves.setdefault(name, {}).setdefault(unit["arm"], {})[str(unit["seed"])] = curve
    figures: dict[str, dict[int, dict[str, float]]] = {}
    for unit in whole:
        figures.setdefault(unit["arm"], {})[unit["seed"]] = unit["figures"]
    judged = [judge(comparison, figures) for comparison in paper.claim.comparisons]
    return Record(
        slug=paper.slug,
        scale=scale,
        statement=paper.claim.statement,
        claim_hash=papers.claim_hash(paper.slug),
        code_hash=records.code_fingerprint(paper.slug),
        settings=dict(claim.SETTINGS[scale]),
        seeds=list(seeds),
        arms=dict(claim.ARMS),
        runs=whole,
        comparisons=[one.to_dict() for one in judged],
        verdict=overall(judged),
        mechanism=_of_kind(judged, "mechanism"),
        accuracy=_of_kind(judged, "accuracy"),
        seconds=round(sum(unit["seconds"] for unit in whole), 1),
        finished=True,
        curves=curves,
        versions=records.versions(),
        machine=records.machine(),
    )


def _of_kind(judged: Sequence[Judged], kind: str) -> str:
    chosen = [one for one in judged if one.kind == kind]
    return overall(chosen) if chosen else ""


def _seeds(seeds: Sequence[int] | None, paper: papers.Paper, scale: str) -> list[int]:
    chosen = list(seeds) if seeds is not None else list(paper.claim.seeds)[: 2 if scale == "smoke" else None]
    if len(set(chosen)) != len(chosen) or len(chosen) < 2:
        raise InputError(
            "seeds", got=chosen, expected="at least 2 different seeds", remedy="differences are paired over seeds"
        )
    return [check_integer(seed, "seeds", low=0) for seed in chosen]


def _key(slug: str, scale: str, settings: Mapping[str, Any], root: Path | None) -> str:
    parts = [papers.claim_hash(slug), records.code_fingerprint(slug), scale, dict(settings), str(root)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
