"""Discover: unlabelled rows to novel classes, their number, a name for each, and how far to trust them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.clustering.hidden_classes import HiddenClassSearchCV, HiddenClassSplit
from spaceform.clustering.kmeans import kmeans
from spaceform.clustering.n_clusters import ClusterSweep
from spaceform.clustering.ncd import NCDKMeans, NCDSpectralClustering
from spaceform.errors import InputError
from spaceform.metrics.clustering import hungarian_accuracy, normalized_mutual_information
from spaceform.rng import as_generator, derive_seed
from spaceform.search.filters import Expr, as_expression
from spaceform.space import Space
from spaceform.types import BoolArray, FloatArray, IntArray, PathLike, Progress, no_progress
from spaceform.workflows.discovering.description import NovelClass, describe

METHODS = ("auto", "pbn", "ncd-kmeans", "ncd-spectral")
"""PBN learns a latent space from the known classes, the others cluster the vectors as they are."""

COLUMNS = ("discovered", "discovered_name", "discovered_confidence")
"""What is written back: the number of the novel class, its name and the row's confidence; missing on labelled rows."""

MIN_TUNED = 4
"""With fewer known classes there is nothing to hide for tuning."""

SEARCH: Mapping[str, Sequence[Any]] = {
    "loss_weight": (0.1, 0.5, 0.85),
    "learning_rate": (1e-3, 5e-3),
    "latent_dim": (16, 32),
}
"""Settings of PBN that hiding known classes chooses from."""


@dataclass(frozen=True, kw_only=True)
class DiscoverResult:
    """What was found. ``scores`` compares with the truth where known classes were hidden for it, else it is empty.

    ``sweep`` is the index over the number of classes (None where the number was given), ``tuned`` the settings chosen
    by hiding known classes, ``hidden`` the classes whose labels were put aside, ``space`` the Space with new columns.
    """

    method: str
    label: str | None
    known_classes: int
    labelled: int
    unlabelled: int
    n_novel: int
    classes: list[NovelClass]
    sweep: Mapping[str, Any] | None = None
    tuned: Mapping[str, Any] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    space: Space | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without the Space itself."""
        plain = asdict(replace(self, space=None))
        del plain["space"]
        return plain


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
    seed: int = 0,
    progress: Progress = no_progress,
) -> DiscoverResult:
    """Find the novel classes among the rows of a Space (or its folder) whose label is missing.

    Parameters: ``label`` the column with the known classes (default: the Space's own; a Space without any is
    clustered); ``hide`` the share of the known classes, in [0, 0.9], or their names, whose labels are put aside and
    used only to score the result; ``known`` a filter such as ``"seen = true"``: labels of rows that it does not let
    through are put aside, too; ``n_novel`` the number of novel classes (None: estimated, at most ``k_max``);
    ``method`` one of ``METHODS`` (auto: PBN where at least two classes are known); ``tune`` PBN by hiding known
    classes; ``epochs`` of PBN.

    Every unlabelled row is taken to be of a novel class (Troisemaine et al. 2024). Raises ``InputError`` for a Space
    whose rows are all labelled, unknown columns and settings out of range.
    """
    begun = time.monotonic()
    opened = space if isinstance(space, Space) else Space.open(space)
    check_choice(method, "method", METHODS)
    check_integer(k_max, "k_max", low=2)
    check_integer(epochs, "epochs", low=1)
    truth, classes = _labels(opened, label)
    y = _put_aside(opened, truth, classes, hide=hide, known=known, seed=seed)
    novel = _novel(y)
    known_codes, hidden = np.unique(y[~novel]), np.unique(truth[novel & (truth >= 0)])
    notes: list[str] = []
    chosen = _method(method, len(known_codes), notes)
    _note_mixed(known_codes, hidden, notes)
    X = np.asarray(opened.vectors, dtype=np.float64)
    settings: dict[str, Any] = {"k_range": (2, k_max), "n_novel": n_novel, "random_state": derive_seed(seed, "fit")}
    tuned: dict[str, Any] = {}
    if chosen == "pbn" and tune and len(known_codes) >= MIN_TUNED:
        tuned = _tune(X, y, epochs=epochs, seed=seed, progress=progress)
    labels, latent, sweep = _fit(chosen, X, y, settings, {**tuned, "epochs": epochs}, progress)
    if sweep is not None and len(sweep.ks) > 1 and sweep.best == sweep.ks[-1]:
        notes.append(f"the index still rises at {sweep.best} classes, the most considered: their number is not settled")
    found = labels[novel]
    rows = np.flatnonzero(novel)
    made, confidence = describe(opened, rows, latent[novel], found=found, label=label or opened.label, seed=seed)
    scores = _score(X[novel], found, truth[novel], seed=seed) if len(hidden) else {}
    result = DiscoverResult(
        method=chosen,
        label=label or opened.label,
        known_classes=len(known_codes),
        labelled=int((~novel).sum()),
        unlabelled=int(novel.sum()),
        n_novel=len(made),
        classes=made,
        sweep=sweep.to_dict() if sweep is not None else None,
        tuned=tuned,
        hidden=tuple(classes[code] for code in hidden),
        scores=scores,
        notes=tuple(notes),
        seconds=round(time.monotonic() - begun, 1),
    )
    written = _write(opened, rows, found, made, confidence).with_info(
        {**opened.info, "discover": result.to_dict(), "derived": _derived(opened)}
    )
    return replace(result, space=written)


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


def _method(method: str, known: int, notes: list[str]) -> str:
    if known < 2 and method in ("auto", "pbn"):
        notes.append(f"{known} known class(es) can't shape a space: plain k-means on the vectors as they are")
        return "ncd-kmeans"
    return "pbn" if method == "auto" else method


def _tune(X: FloatArray, y: IntArray, *, epochs: int, seed: int, progress: Progress) -> dict[str, Any]:
    from spaceform.methods.class_discovery.tabular_ncd import PBNClassifierDiscovery

    search = HiddenClassSearchCV(
        estimator=PBNClassifierDiscovery(
            n_novel=2, epochs=max(5, epochs // 3), n_init=3, random_state=derive_seed(seed, "tuning")
        ),
        param_distributions=SEARCH,
        n_iter=4,
        cv=HiddenClassSplit(n_splits=2, random_state=derive_seed(seed, "folds")),
        refit=False,
        random_state=derive_seed(seed, "candidates") % 2**31,
    )
    return dict(search.fit(X, y, progress=progress).best_params_)


def _fit(
    method: str,
    X: FloatArray,
    y: IntArray,
    settings: Mapping[str, Any],
    learned: Mapping[str, Any],
    progress: Progress,
) -> tuple[IntArray, FloatArray, ClusterSweep | None]:
    """Return the novel class of every row (-1 on labelled ones), the space they were clustered in, and the sweep."""
    if method == "pbn":
        from spaceform.methods.class_discovery.tabular_ncd import PBNClassifierDiscovery

        model = PBNClassifierDiscovery(**settings, **learned).fit(X, y, progress=progress)
        return model.labels_, model.transform(X), model.sweep_
    if method == "ncd-spectral":
        spectral = NCDSpectralClustering(**settings).fit(X, y)
        return spectral.labels_, X, spectral.sweep_
    plain = NCDKMeans(**settings).fit(X, y)
    return plain.labels_, X, plain.sweep_


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
