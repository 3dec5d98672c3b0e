"""How far each paper is: read from what exists in the package and from the results of runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spaceform.errors import InputError
from spaceform.papers.catalogue import claim_hash, load

if TYPE_CHECKING:
    from spaceform.types import PathLike  # its module loads numpy, which the catalogue does without


@dataclass(frozen=True, slots=True)
class Status:
    """What exists of one paper.

    ``method`` and ``claim`` say whether the modules exist, ``tests`` whether the method has a test file (``None``
    if no folder of tests was given). ``verdict`` is that of the last finished run, ``scale`` the scale of the run,
    ``unfinished`` whether a run was begun and not ended, and ``stale`` whether it was for another claim than today's.
    """

    slug: str
    method: bool
    claim: bool
    tests: bool | None = None
    verdict: str | None = None
    scale: str | None = None
    unfinished: bool = False
    stale: bool = False

    @property
    def summary(self) -> str:
        """The status in a few words, for a table."""
        if self.unfinished:
            words = "unfinished"
        elif self.verdict:
            words = self.verdict
        elif self.claim and self.method:
            words = "not run"
        else:
            words = "no claim yet" if self.method else "planned"
        remarks = [self.scale or ""] if self.scale not in {None, "laptop"} else []
        remarks += ["claim changed since"] if self.stale else []
        return words + (f" ({', '.join(remarks)})" if remarks else "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The part of a result file that the catalogue reads."""

    verdict: str | None
    scale: str | None
    claim_hash: str
    finished: bool
    comparisons: tuple[dict[str, Any], ...]


def status(slug: str, *, results_dir: PathLike | None = None, tests_dir: PathLike | None = None) -> Status:
    """Return what exists of one paper; no method, claim or test is imported.

    Parameters
    ----------
    slug : with hyphens or underscores.
    results_dir : the folder of ``<slug>.json`` files that runs wrote; ``None`` or a missing folder means no results.
    tests_dir : the folder of the tests, which mirrors the package; ``None`` leaves ``tests`` open.

    Raises
    ------
    InputError : an unknown slug, or a result file that is not one (see ``read_outcome``).
    """
    paper = load(slug)
    tests = None
    if tests_dir is not None:
        tests = (Path(tests_dir) / "methods" / paper.purpose / f"test_{paper.module}.py").is_file()
    outcome = read_outcome(paper.slug, results_dir) if results_dir is not None else None
    return Status(
        slug=paper.slug,
        method=_module_exists("methods", paper.purpose, paper.module),
        claim=_module_exists("claims", paper.purpose, paper.module),
        tests=tests,
        verdict=outcome.verdict if outcome and outcome.finished else None,
        scale=outcome.scale if outcome else None,
        unfinished=outcome is not None and not outcome.finished,
        stale=outcome is not None and outcome.claim_hash != claim_hash(paper.slug),
    )


def read_outcome(slug: str, results_dir: PathLike) -> Outcome | None:
    """Return the outcome in ``results_dir/<slug>.json``, or ``None`` if there is no such file.

    Keys that are not needed here are passed over and absent ones taken as unknown. Raises ``InputError``, naming the
    file and the key, for a file that is not a JSON object, tells of another paper, or has a value of another type.
    """
    path = Path(results_dir) / f"{slug}.json"
    if not path.is_file():
        return None
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _nonsense(path, "", str(error), "a JSON document") from error
    if not isinstance(entries, dict):
        raise _nonsense(path, "", f"a {type(entries).__name__}", "a JSON object")
    if entries.get("slug", slug) != slug:
        raise _nonsense(path, "slug", repr(entries["slug"]), repr(slug))
    for key, kind in (("verdict", str), ("scale", str), ("claim_hash", str), ("finished", bool), ("comparisons", list)):
        value = entries.get(key)
        if value is not None and not isinstance(value, kind):
            raise _nonsense(path, key, repr(value), f"a {kind.__name__}")
    comparisons = tuple(entries.get("comparisons") or ())
    for entry in comparisons:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise _nonsense(path, "comparisons", repr(entry), "an object with a name")
    verdict = entries.get("verdict") or None
    finished = entries.get("finished")
    return Outcome(
        verdict=verdict,
        scale=entries.get("scale"),
        claim_hash=entries.get("claim_hash") or "",
        finished=verdict is not None if finished is None else finished,
        comparisons=comparisons,
    )


def _nonsense(path: Path, key: str, got: str, expected: str) -> InputError:
    name = f"{path}: {key}" if key else str(path)
    return InputError(name, got=got, expected=expected, remedy="delete the file and run the claim again")


def _module_exists(*names: str) -> bool:
    """Look for a module of the package without importing it or the packages above it."""
    spec = find_spec("spaceform")
    for name in names:
        if spec is None or not spec.submodule_search_locations:
            return False
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return spec is not None and spec.origin is not None
