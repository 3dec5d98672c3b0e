"""How well clusters agree with true classes: accuracy under the best matching, NMI, ARI, purity, pair F1."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.errors import InputError
from spaceform.ops.assignment import Contingency, agreement, assign, contingency
from spaceform.types import FloatArray


@dataclass(frozen=True)
class SplitAccuracy:
    """Accuracy under one matching over all rows: of all, of rows of old (known) classes, of new ones (each in [0, 1]).

    ``old`` or ``new`` is NaN when there is no such row.
    """

    all: float
    old: float
    new: float


@dataclass(frozen=True)
class ClusterQuality:
    """The usual figures together; see the functions of the same names."""

    accuracy: float
    nmi: float
    ari: float
    purity: float

    def to_dict(self) -> dict[str, float]:
        """Return plain values for JSON."""
        return asdict(self)


def hungarian_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the share of rows right under the best one-to-one matching of clusters to classes, in (0, 1].

    ``y_true`` and ``y_pred`` are ``(n,)`` names of any sortable type; surplus clusters or classes count as wrong.
    Raises ``InputError`` for empty input, unequal lengths and NaN. O(n log n + k^3).
    """
    return agreement(y_true, y_pred)


def split_cluster_accuracy(y_true: ArrayLike, y_pred: ArrayLike, old: ArrayLike) -> SplitAccuracy:
    """Return the accuracy over all rows, old and new classes under ONE matching (generalised category discovery).

    ``old`` is a boolean mask ``(n,)``: the row's class was among the known ones. Matching the two parts apart
    would let one cluster serve an old and a new class at once. Raises as :func:`hungarian_accuracy`.
    """
    mask = np.asarray(old)
    if mask.dtype != np.bool_ or mask.shape != np.shape(y_true):
        raise InputError("old", got=f"{mask.dtype} of shape {mask.shape}", expected="a boolean mask, one per row")
    table = contingency(y_true, y_pred)
    rows, columns = assign(table)
    partner = np.full(len(table.classes), -1)
    partner[rows] = columns
    own = partner[np.searchsorted(table.classes, np.asarray(y_true))]
    right = own == np.searchsorted(table.clusters, np.asarray(y_pred))
    parts = [float(right[part].mean()) if part.any() else float("nan") for part in (mask, ~mask)]
    return SplitAccuracy(float(right.mean()), *parts)


def normalized_mutual_information(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return ``2 I(T; P) / (H(T) + H(P))`` in [0, 1] (arithmetic mean, as scikit-learn); 1 if both are one cluster."""
    return _nmi(contingency(y_true, y_pred))


def adjusted_rand_index(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the Rand index corrected for chance (Hubert and Arabie, 1985), in [-0.5, 1]; 0 is chance."""
    return _ari(contingency(y_true, y_pred))


def purity(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the share of rows in their cluster's most frequent class, in (0, 1]. Grows with the number of clusters."""
    table = contingency(y_true, y_pred)
    return float(table.counts.max(0).sum() / table.counts.sum())


def pair_f1(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the F1 score of "same cluster" as a prediction of "same class" over all pairs of rows, in [0, 1].

    0 when no pair shares a cluster or no pair shares a class.
    """
    together, same_class, same_cluster, _ = _pairs(contingency(y_true, y_pred))
    return 2 * together / (same_class + same_cluster) if together else 0.0


def cluster_quality(y_true: ArrayLike, y_pred: ArrayLike) -> ClusterQuality:
    """Return accuracy, NMI, ARI and purity at once. O(n log n + k^3)."""
    table = contingency(y_true, y_pred)
    total = table.counts.sum()
    return ClusterQuality(
        accuracy=float(table.counts[assign(table)].sum() / total),
        nmi=_nmi(table),
        ari=_ari(table),
        purity=float(table.counts.max(0).sum() / total),
    )


def _nmi(table: Contingency) -> float:
    joint = table.counts / table.counts.sum()
    marginals = [joint.sum(1), joint.sum(0)]
    entropies = sum(_entropy(part) for part in marginals)
    if entropies <= 0:
        return 1.0
    information = entropies - _entropy(joint.ravel())
    return float(min(1.0, max(0.0, 2 * information / entropies)))


def _entropy(p: FloatArray) -> float:
    positive = p[p > 0]
    return float(-(positive * np.log(positive)).sum())


def _ari(table: Contingency) -> float:
    together, same_class, same_cluster, pairs = _pairs(table)
    expected = same_class * same_cluster / pairs if pairs else 0.0
    best = (same_class + same_cluster) / 2
    return 1.0 if best == expected else float((together - expected) / (best - expected))


def _pairs(table: Contingency) -> tuple[float, float, float, float]:
    """Pairs in one class and cluster, in one class, in one cluster, and all of them."""

    def count(sizes: np.ndarray) -> float:
        sizes = sizes.astype(np.float64)
        return float((sizes * (sizes - 1)).sum() / 2)

    return count(table.counts), count(table.counts.sum(1)), count(table.counts.sum(0)), count(table.counts.sum()[None])
