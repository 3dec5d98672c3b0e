"""How many clusters there are: a validity index over a range of k, the whole curve kept for a plot.

The six indices are those compared for novel class discovery by Troisemaine et al. (2024), section 5; there the
silhouette in a learned latent space had the smallest error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from spaceform.checks import check_choice, check_integer, check_matrix, check_partial_labels
from spaceform.clustering import indices
from spaceform.clustering.kmeans import KMeansResult, assign_nearest, kmeans
from spaceform.errors import InputError
from spaceform.ops.assignment import agreement
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, Progress, RandomState, no_progress

INDICES = ("silhouette", "davies_bouldin", "calinski_harabasz", "dunn", "elbow", "known_accuracy")
CRITERIA = ("silhouette", "davies_bouldin", "calinski_harabasz", "elbow", "agreement")
"""What several opinions are asked of: Dunn's index hangs on single rows, and known rows are not always there."""

SMALLER_IS_BETTER = frozenset({"davies_bouldin", "elbow"})


@dataclass(frozen=True)
class ClusterSweep:
    """An index over k: ``scores[i][r]`` is the index at ``ks[i]`` in run r, ``best`` the k it speaks for.

    For the elbow the scores are inertias and ``best`` is the knee of their mean; else ``best`` has the best mean.
    NaN marks a clustering that the index is not defined on.
    """

    index: str
    ks: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]
    best: int

    @property
    def means(self) -> list[float]:
        """The mean over runs for every k."""
        return [float(np.mean(runs)) for runs in self.scores]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"index": self.index, "ks": list(self.ks), "scores": [list(runs) for runs in self.scores]} | {
            "means": self.means,
            "best": self.best,
        }


def sweep_n_clusters(
    X: FloatArray,
    *,
    k_range: tuple[int, int] = (2, 30),
    index: str = "silhouette",
    n_runs: int = 3,
    n_init: int = 10,
    max_rows: int = 2000,
    known: FloatArray | None = None,
    known_labels: IntArray | None = None,
    random_state: RandomState = None,
    progress: Progress = no_progress,
) -> ClusterSweep:
    """Cluster ``X (n, d)`` by k-means for every k of ``k_range`` (both ends included) and judge by ``index``.

    ``index`` is ``silhouette``, ``calinski_harabasz``, ``dunn`` (largest mean wins), ``davies_bouldin`` (smallest
    wins), ``elbow`` (knee of the inertia) or ``known_accuracy``: k-means on ``X`` and ``known (m, d)`` together with
    k more clusters than known classes, scored by how well it finds ``known_labels (m,)`` again. The range is cut to
    the number of distinct rows less one; above ``max_rows`` a random subset is used (the silhouette is O(n^2)).
    Runs, range and 10 restarts per run are those of the released code.

    Raises ``InputError`` when no k is left, for an unknown index, and when known rows are missing.
    O(k_max * n_runs * n_init) k-means runs, O(n^2) memory for silhouette and Dunn.
    """
    X = check_matrix(X, min_rows=3)
    check_choice(index, "index", INDICES)
    check_integer(n_runs, "n_runs", low=1)
    rng = as_generator(random_state)
    if len(X) > max_rows:
        X = X[np.sort(rng.permutation(len(X))[: check_integer(max_rows, "max_rows", low=3)])]
    ks = _range(X, k_range, at_least=3 if index == "elbow" else 1)
    judge = _Judge(X, index, known, known_labels, n_init, rng)
    scores = []
    for position, k in enumerate(ks):
        scores.append(tuple(judge(k) for _ in range(n_runs)))
        progress("number of clusters", position + 1, len(ks), {"k": k, index: float(np.mean(scores[-1]))})
    return ClusterSweep(index, tuple(ks), tuple(scores), _best(index, ks, scores))


def sweep_criteria(
    X: FloatArray,
    *,
    k_range: tuple[int, int] = (2, 30),
    criteria: Sequence[str] = CRITERIA,
    n_runs: int = 3,
    n_init: int = 3,
    max_rows: int = 1500,
    random_state: RandomState = None,
    progress: Progress = no_progress,
) -> dict[str, ClusterSweep]:
    """Return the sweeps of several indices over the same clusterings of ``X (n, d)``, by name.

    ``criteria`` are indices that need no known rows, and ``agreement``: the share of rows that two runs give the same
    cluster, mean over pairs of runs (by Hungarian matching; largest wins). Otherwise as :func:`sweep_n_clusters`, with
    fewer restarts: several opinions on one question are worth more than a sharper single one.
    """
    X = check_matrix(X, min_rows=3)
    for name in criteria:
        check_choice(name, "criteria", CRITERIA)
    check_integer(n_runs, "n_runs", low=2)
    random = as_generator(random_state)
    if len(X) > max_rows:
        X = X[np.sort(random.permutation(len(X))[: check_integer(max_rows, "max_rows", low=3)])]
    ks = _range(X, k_range, at_least=3 if "elbow" in criteria else 1)
    judges = {name: _Judge(X, name, None, None, n_init, random) for name in criteria if name != "agreement"}
    for judge in judges.values():
        judge.distances = next(iter(judges.values())).distances
    scores: dict[str, list[tuple[float, ...]]] = {name: [] for name in criteria}
    for position, k in enumerate(ks):
        runs = [kmeans(X, k, n_init=n_init, random_state=random) for _ in range(n_runs)]
        for name in criteria:
            if name == "agreement":
                pairs = [agreement(a.labels, b.labels) for a, b in combinations(runs, 2)]
                scores[name].append(tuple(pairs))
            else:
                scores[name].append(tuple(judges[name].score(run) for run in runs))
        progress("number of classes", position + 1, len(ks))
    return {
        name: ClusterSweep(name, tuple(ks), tuple(values), _best(name, ks, values)) for name, values in scores.items()
    }


def _best(index: str, ks: list[int], scores: list[tuple[float, ...]]) -> int:
    means = np.array([np.mean(runs) for runs in scores])
    if index == "elbow":
        return ks[indices.knee(np.array(ks, dtype=float), means)]
    if np.isnan(means).all():
        raise InputError("X", got="no clustering with at least 2 clusters", expected="rows that differ")
    return ks[int(np.nanargmin(means) if index in SMALLER_IS_BETTER else np.nanargmax(means))]


def _range(X: FloatArray, k_range: tuple[int, int], *, at_least: int) -> list[int]:
    low = check_integer(k_range[0], "k_range", low=2)
    high = min(check_integer(k_range[1], "k_range", low=low), len(np.unique(X, axis=0)) - 1)
    if high - low + 1 < at_least:
        raise InputError(
            "k_range",
            got=f"{tuple(k_range)} for {high + 1} distinct rows",
            expected=f"at least {at_least} candidate(s) below the number of distinct rows",
            remedy="give the number of clusters instead",
        )
    return list(range(low, high + 1))


class _Judge:
    """Clusters into k and scores the outcome; holds what all k share."""

    def __init__(
        self,
        X: FloatArray,
        index: str,
        known: FloatArray | None,
        known_labels: IntArray | None,
        n_init: int,
        rng: np.random.Generator,
    ) -> None:
        self.X, self.index, self.n_init, self.rng = X, index, n_init, rng
        self.known = self.known_labels = None
        if index == "known_accuracy":
            if known is None or known_labels is None:
                raise InputError("known", got="None", expected="rows of known classes and their labels")
            self.known = check_matrix(known, "known", width=X.shape[1], dtype=X.dtype.type)
            self.known_labels = check_partial_labels(known_labels, len(self.known), "known_labels")

    @cached_property
    def distances(self) -> FloatArray:
        return indices.distance_matrix(self.X)

    def __call__(self, k: int) -> float:
        if self.known is not None:
            return self._known_accuracy(k)
        return self.score(kmeans(self.X, k, n_init=self.n_init, random_state=self.rng))

    def score(self, result: KMeansResult) -> float:
        """Return the index of one clustering, NaN where it is not defined."""
        if self.index != "elbow" and len(np.unique(result.labels)) < 2:
            return float("nan")
        return self._score(result)

    def _score(self, result: KMeansResult) -> float:
        on_pairs: dict[str, Callable[[FloatArray, IntArray], float]] = {
            "silhouette": indices.silhouette,
            "dunn": indices.dunn,
        }
        on_rows = {
            "davies_bouldin": indices.davies_bouldin,
            "calinski_harabasz": indices.calinski_harabasz,
        }
        if self.index in on_pairs:
            return on_pairs[self.index](self.distances, result.labels)
        return result.inertia if self.index == "elbow" else on_rows[self.index](self.X, result.labels)

    def _known_accuracy(self, k: int) -> float:
        assert self.known is not None  # noqa: S101  # set together with the labels
        assert self.known_labels is not None  # noqa: S101
        total = min(k + len(np.unique(self.known_labels)), len(self.X) + len(self.known))
        together = np.concatenate([self.known, self.X])
        result = kmeans(together, total, n_init=self.n_init, random_state=self.rng)
        return agreement(self.known_labels, assign_nearest(self.known, result.centers)[0])
