"""How much better a space became: retrieval and clusters of the same rows as different vectors, and one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spaceform.clustering.kmeans import kmeans
from spaceform.metrics.clustering import normalized_mutual_information
from spaceform.metrics.retrieval import retrieval
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.rng import as_generator, derive_seed
from spaceform.types import FloatArray, IntArray

RANKS = (1, 8)
RESAMPLES = 2_000
SHARE = 0.95
RECALL = "recall@1"
BASELINE = "linear softmax"
"""The baseline: the same network as an ordinary classifier with the same budget, without its last layer."""


@dataclass(frozen=True)
class Gain:
    """By how much recall@1 of the trained vectors is higher: ``mean`` and the ends of a 95% interval, in [-1, 1]."""

    mean: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def measure_vectors(X: FloatArray, y: IntArray, *, seed: int) -> dict[str, float]:
    """Return recall@1 and @8, MAP@R and NMI of k-means (k true classes, three starts), all in [0, 1]."""
    found = retrieval(X, y, ks=[min(k, len(X) - 1) for k in RANKS])
    clusters = kmeans(X, len(np.unique(y)), n_init=3, random_state=derive_seed(seed, "clusters") % 2**31).labels
    recalls = {f"recall@{k}": found.recall_at[min(k, len(X) - 1)] for k in RANKS}
    return {**recalls, "MAP@R": found.map_at_r, "NMI": normalized_mutual_information(y, clusters)}


def gain(X: FloatArray, other: FloatArray, y: IntArray, *, by_class: bool, seed: int) -> Gain:
    """Return the paired difference of recall@1, with an interval by resampling classes (or rows).

    The classes of a test are a sample of all that might come, so resampling them tells more than resampling rows, which
    are alike within a class. Rows without another of their class do not count. O(n^2 d).
    """
    counts = np.bincount(y)[y]
    rows = np.flatnonzero(counts > 1)
    differences = np.zeros(len(rows))
    for sign, vectors in ((1, X), (-1, other)):
        _, nearest = nearest_neighbors(vectors, k=1)
        differences += sign * (y[nearest[rows, 0]] == y[rows])
    return resampled(differences, np.unique(y[rows], return_inverse=True)[1] if by_class else None, seed=seed)


def resampled(differences: FloatArray, groups: IntArray | None = None, *, seed: int) -> Gain:
    """Return the mean of paired ``differences (n,)``, with an interval by resampling their ``groups`` (None: rows)."""
    groups = np.arange(len(differences)) if groups is None else groups
    sums, sizes = np.bincount(groups, weights=differences), np.bincount(groups)
    rng = as_generator(derive_seed(seed, "interval"))
    means = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(sums), len(sums))
        means.append(sums[drawn].sum() / sizes[drawn].sum())
    low, high = np.quantile(means, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Gain(float(differences.mean()), float(low), float(high))


def sentence(figures: Mapping[str, Mapping[str, float]], gains: Mapping[str, Gain], *, where: str) -> str:
    """Return in one sentence how much better ``trained`` is than what ``gains`` compares it with."""
    own = figures["trained"][RECALL]
    told = [
        f"{_points(one)} than {'before training' if name == 'untrained' else f'with the {name} baseline'}"
        f" ({figures[name][RECALL]:.0%}; {_certainty(one)})"
        for name, one in gains.items()
    ]
    return f"{where}, the nearest neighbour is of the right class {own:.0%} of the time: {' and '.join(told)}."


def _points(one: Gain) -> str:
    points = 100 * abs(one.mean)
    number = f"{points:.0f}" if points >= 9.5 else f"{points:.1f}"
    return f"{number} points {'more' if one.mean >= 0 else 'less'}"


def _certainty(one: Gain) -> str:
    interval = f"95% interval {100 * one.low:+.0f} to {100 * one.high:+.0f}"
    return interval if one.sure else f"{interval}, so it may be chance"
