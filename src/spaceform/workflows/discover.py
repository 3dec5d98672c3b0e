"""Discover: unlabelled rows to novel classes, their number, a name for each, and how far to trust them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spaceform.checks import check_integer, check_real
from spaceform.clustering.kmeans import kmeans
from spaceform.clustering.n_clusters import ClusterSweep
from spaceform.errors import InputError
from spaceform.metrics.clustering import hungarian_accuracy, normalized_mutual_information
from spaceform.rng import as_generator, derive_seed
from spaceform.search.filters import Expr, as_expression
from spaceform.space import Space
from spaceform.types import BoolArray, FloatArray, IntArray, PathLike, Progress, no_progress
from spaceform.workflows.discovering import methods, number, trust
from spaceform.workflows.discovering.description import NovelClass, describe
from spaceform.workflows.discovering.methods import Answer, Way
from spaceform.workflows.discovering.result import DiscoverResult
from spaceform.workflows.discovering.tuning import tune as tuned_by_hiding

__all__ = ["COLUMNS", "DiscoverResult", "discover"]

COLUMNS = ("discovered", "discovered_name", "discovered_confidence")
"""What is written back: the number of the novel class, its name and the row's confidence; missing on labelled rows."""

REPEATS = 2


def discover(
    space: Space | PathLike,
    *,
    method: str = "auto",
    label: str | None = None,
    hide: float | Sequence[str] = 0.0,
    known: str | Expr | None = None,
    n_novel: int | None = None,
    k_max: int = 30,
    tune: bool = True,
    epochs: int = 60,
    repeats: int = REPEATS,
    seed: int = 0,
    progress: Progress = no_progress,
) -> DiscoverResult:
    """Find the novel classes among the rows of a Space (or its folder) whose label is missing.

    Parameters: ``label`` the column with the known classes (default: the Space's own; a Space without any is
    clustered); ``hide`` the share of the known classes, in [0, 0.9], or their names, whose labels are put aside and
    used only to score the result; ``known`` a filter such as ``"seen = true"``: labels of rows that it does not let
    through are put aside, too; ``n_novel`` the number of novel classes (None: estimated, at most ``k_max``);
    ``method`` a paper on class discovery (``tabular-ncd``, also ``pbn``), ``ncd-kmeans`` or ``ncd-spectral``, which
    take the vectors as they are, ``latent-label-shift``, for which ``label`` names the domain of each row, or ``auto``:
    the better of ``tabular-ncd`` and ``ncd-kmeans``; ``tune``: hide known classes to choose the method (where it is
    ``auto``), its settings, and the criterion that tells the number of classes; ``epochs`` of methods that train;
    ``repeats`` with other seeds, and once with known classes hidden, to say how sure it is (0: neither).

    Most methods take every unlabelled row to be of a novel class (Troisemaine et al. 2024). Raises ``InputError`` for
    a Space whose rows are all labelled, unknown columns and settings out of range.
    """
    begun = time.monotonic()
    opened = space if isinstance(space, Space) else Space.open(space)
    check_integer(k_max, "k_max", low=2)
    check_integer(epochs, "epochs", low=1)
    check_integer(repeats, "repeats", low=0)
    task = _task(opened, method, label, hide=hide, known=known, seed=seed)
    tuned: Mapping[str, Any] = {}
    if tune and task.known >= trust.MIN_KNOWN:
        task, tuned = _tune(task, epochs=epochs, seed=seed, progress=progress)
    settings = {"k_range": (2, k_max), "epochs": epochs, **tuned}
    novel = task.y == -1
    counted = number.count(task.X, task.y, n_novel, k_max=k_max, tried=tune, seed=seed, progress=progress)
    answer = _fit(task, task.y, counted.number, settings | {"random_state": _state(seed, "fit")}, progress)
    sweep: ClusterSweep | None = counted.believed or getattr(answer.model, "sweep_", None)
    kept = answer.found >= 0
    rows, found = np.flatnonzero(novel)[kept], answer.found[kept]
    _note_unsettled(sweep, task.notes)
    made, confidence = describe(opened, rows, answer.latent[rows], found=found, label=task.label, seed=seed)
    sure = _sure(task, answer, len(made), settings, repeats=repeats, seed=seed, progress=progress)
    made = [replace(one, repeated=sure.by_class.get(one.number)) for one in made]
    hidden = np.unique(task.truth[novel & (task.truth >= 0)])
    result = DiscoverResult(
        method=task.way.name,
        label=task.label,
        known_classes=task.known,
        labelled=int((~novel).sum()),
        unlabelled=int(novel.sum()),
        n_novel=len(made),
        classes=made,
        sweep=sweep.to_dict() if sweep is not None else None,
        criteria=counted.records(),
        tuned=tuned,
        hidden=tuple(task.classes[code] for code in hidden),
        scores=_score(task.X[rows], found, task.truth[rows], seed=seed) if len(hidden) else {},
        agreement=sure.agreement,
        rehearsal=sure.rehearsal,
        conclusions=(*number.conclude(counted, chosen=len(made)), *_conclude(made, sure)),
        taken_as_known=int((~kept).sum()),
        notes=tuple(task.notes),
        seconds=round(time.monotonic() - begun, 1),
    )
    written = _write(opened, rows, found, made, confidence).with_info(
        {**opened.info, "discover": result.to_dict(), "derived": _derived(opened)}
    )
    return replace(result, space=written)


@dataclass(frozen=True, eq=False)
class _Sure:
    """What other seeds and the rehearsal gave; ``by_class`` by the number of a class."""

    by_class: Mapping[int, float]
    agreement: float | None
    rehearsal: trust.Rehearsal | None


def _sure(
    task: _Task,
    answer: Answer,
    k: int,
    settings: Mapping[str, Any],
    *,
    repeats: int,
    seed: int,
    progress: Progress,
) -> _Sure:
    def again(y: IntArray, count: int | None, state: int) -> IntArray:
        return _fit(task, y, count, {**settings, "random_state": state}, progress).found

    if not repeats:
        return _Sure({}, None, None)
    kept, agreement = trust.repeat(answer.found, task.y, again, times=repeats, seed=seed)
    rehearsal = trust.rehearse(task.X, task.y, again, n_novel=k, seed=seed)
    return _Sure(dict(enumerate(kept.tolist())), agreement, rehearsal)


def _conclude(made: Sequence[NovelClass], sure: _Sure) -> Iterator[str]:
    return trust.conclude(stability=[one.stability for one in made], agreement=sure.agreement, rehearsal=sure.rehearsal)


def _note_unsettled(sweep: ClusterSweep | None, notes: list[str]) -> None:
    if sweep is not None and len(sweep.ks) > 1 and sweep.best == sweep.ks[-1]:
        notes.append(f"the index still rises at {sweep.best} classes, the most considered: their number is not settled")


@dataclass(frozen=True, eq=False)
class _Task:
    """What is asked: rows, codes ``y`` with -1 where unlabelled, the ``truth`` behind them, and ways to choose from."""

    ways: Sequence[Way]
    X: FloatArray
    y: IntArray
    truth: IntArray
    classes: Sequence[str]
    domains: IntArray | None
    label: str | None
    notes: list[str]

    @property
    def way(self) -> Way:
        return self.ways[0]

    @property
    def known(self) -> int:
        return len(np.unique(self.y[self.y >= 0]))


def _task(
    space: Space,
    method: str,
    label: str | None,
    *,
    hide: float | Sequence[str],
    known: str | Expr | None,
    seed: int,
) -> _Task:
    truth, classes = _labels(space, label)
    notes: list[str] = []
    X = np.asarray(space.vectors, dtype=np.float64)
    by_domains = methods.find(method)
    if by_domains is not None and by_domains.by_domains:
        if hide or known is not None or not classes:
            expected = "the column with the domain of each row (--label), and no class to hide"
            raise InputError("label", got=repr(label), expected=expected)
        nothing = np.full(len(space), -1, np.int64)
        return _Task((by_domains,), X, nothing, nothing, classes, truth, label or space.label, notes)
    y = _put_aside(space, truth, classes, hide=hide, known=known, seed=seed)
    novel = _novel(y)
    ways = methods.choose(method, known=len(np.unique(y[~novel])), notes=notes)
    _note_mixed(np.unique(y[~novel]), np.unique(truth[novel & (truth >= 0)]), notes)
    return _Task(ways, X, y, truth, classes, None, label or space.label, notes)


def _fit(task: _Task, y: IntArray, n_novel: int | None, settings: Mapping[str, Any], progress: Progress) -> Answer:
    if task.domains is not None and n_novel is None:
        n_novel = int(task.domains.max()) + 1
        task.notes.append(f"as many classes as domains ({n_novel}), the most that domains tell apart")
    answer = methods.fit(
        task.way, task.X, y, domains=task.domains, n_novel=n_novel, settings=settings, progress=progress
    )
    if not (answer.found >= 0).any():
        raise InputError("space", got="no row of a novel class", expected="some", remedy="try another method")
    return answer


def _state(seed: int, what: str) -> int:
    return derive_seed(seed, what) % 2**31


def _novel(y: IntArray) -> BoolArray:
    novel: BoolArray = y == -1
    if novel.sum() < 3:
        remedy = "hide a share of the classes to see what would be found (hide=0.3), or leave some labels empty"
        raise InputError("space", got=f"{int(novel.sum())} unlabelled row(s)", expected="at least 3", remedy=remedy)
    return novel


def _note_mixed(known: IntArray, hidden: IntArray, notes: list[str]) -> None:
    both = np.intersect1d(known, hidden)
    if len(both):
        notes.append(
            f"{len(both)} of {len(hidden)} classes whose labels were put aside are also known ones; every unlabelled "
            "row is taken to be of a novel class all the same"
        )


def _derived(space: Space) -> list[str]:
    """Return the columns that methods made: an audit does not take them for data."""
    return list(dict.fromkeys([*space.info.get("derived", []), *COLUMNS]))


def _labels(space: Space, label: str | None) -> tuple[IntArray, list[str]]:
    if label is None and space.label is None:
        return np.full(len(space), -1, dtype=np.int64), []
    codes, classes = space.labels(label)
    return codes, [str(name) for name in classes]


def _put_aside(
    space: Space,
    truth: IntArray,
    classes: Sequence[str],
    *,
    hide: float | Sequence[str],
    known: str | Expr | None,
    seed: int,
) -> IntArray:
    """Return the labels with those of the hidden classes and of the rows outside ``known`` at -1."""
    present = np.unique(truth[truth >= 0])
    if isinstance(hide, int | float):
        share = check_real(hide, "hide", low=0, high=0.9)
        count = max(1, round(share * len(present))) if share > 0 else 0
        hidden = as_generator(derive_seed(seed, "hide")).permutation(present)[:count]
    else:
        unknown = sorted(set(hide) - {classes[code] for code in present})
        if unknown or isinstance(hide, str):
            got = repr(hide) if isinstance(hide, str) else ", ".join(map(repr, unknown))
            raise InputError("hide", got=got, expected="a share, or a list of classes that the label has")
        hidden = np.array([code for code in present if classes[code] in set(hide)], dtype=np.int64)
    aside = np.isin(truth, hidden)
    if known is not None:
        aside |= ~as_expression(known).mask(space.table)
    return np.where(aside, -1, truth)


def _tune(task: _Task, *, epochs: int, seed: int, progress: Progress) -> tuple[_Task, Mapping[str, Any]]:
    """Return the task with the way that finds hidden known classes best, and its settings."""
    tuned = tuned_by_hiding(task.ways, task.X, task.y, epochs=epochs, seed=seed, progress=progress)
    if len(task.ways) > 1:
        said = ", ".join(f"{name} {accuracy:.0%}" for name, accuracy in tuned.accuracies.items())
        task.notes.append(f"{tuned.way.name} was chosen by the share of rows of hidden known classes right: {said}")
    return replace(task, ways=(tuned.way,)), tuned.settings


def _score(X: FloatArray, found: IntArray, truth: IntArray, *, seed: int) -> dict[str, dict[str, float]]:
    """Compare with the labels put aside, beside k-means on the vectors with the same number of classes."""
    judged: BoolArray = truth >= 0
    plain = kmeans(X, int(found.max()) + 1, random_state=derive_seed(seed, "floor")).labels
    return {
        name: {
            "accuracy": hungarian_accuracy(truth[judged], labels[judged]),
            "nmi": normalized_mutual_information(truth[judged], labels[judged]),
            "true_classes": float(len(np.unique(truth[judged]))),
        }
        for name, labels in (("found", found), ("k-means on the vectors", plain))
    }


def _write(
    space: Space, rows: IntArray, found: IntArray, classes: Sequence[NovelClass], confidence: FloatArray
) -> Space:
    names = {one.number: one.name for one in classes}
    number: list[int | None] = [None] * len(space)
    name: list[str | None] = [None] * len(space)
    trust: list[float | None] = [None] * len(space)
    for row, code, sure in zip(rows.tolist(), found.tolist(), confidence.tolist(), strict=True):
        number[row], name[row], trust[row] = code, names[code], sure
    return space.with_columns(dict(zip(COLUMNS, (number, name, trust), strict=True)))
