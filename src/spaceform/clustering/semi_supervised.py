"""k-means that keeps labelled rows in their class: the label assignment of generalized category discovery."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClusterMixin

from spaceform.checks import check_integer, check_rows
from spaceform.clustering.kmeans import KMeansResult, assign_nearest, lloyd, seed_centers
from spaceform.clustering.partial import PartialLabels, check_n_novel, read_partial
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, RandomState


def semi_supervised_kmeans(
    X: FloatArray,
    partial: PartialLabels,
    n_novel: int,
    *,
    n_init: int = 10,
    max_iter: int = 300,
    tol: float = 0.0,
    random_state: RandomState = None,
) -> KMeansResult:
    """Cluster ``X (n, d)`` into the known classes, which are the first clusters, and ``n_novel`` more.

    Known centres start at the means of their labelled rows, novel ones at unlabelled rows drawn by k-means++ away from
    all others. Labelled rows stay in their class; unlabelled rows join any; all centres move. The best of ``n_init``
    draws by inertia is kept (one is enough when there is nothing to draw).

    Raises ``InputError`` when there is no cluster, or more novel ones than unlabelled rows. O(n_init * iterations *
    n * k * d) by matrix products over blocks of rows, O(n) memory besides ``X``.
    """
    check_n_novel(n_novel, int(partial.unlabelled.sum()), low=0 if len(partial.classes) else 1)
    check_integer(n_init, "n_init", low=1)
    generator = as_generator(random_state)
    shift = X.mean(0, dtype=np.float64).astype(X.dtype)
    rows = X - shift
    known = partial.means(rows)
    free = rows[partial.unlabelled]
    trials = 2 + int(np.log(len(known) + n_novel))

    def once() -> KMeansResult:
        seeds = known
        if n_novel:
            seeds = np.concatenate(
                [known, seed_centers(free, n_novel, known=known, n_trials=trials, random_state=generator)]
            )
        return lloyd(rows, seeds, pinned=partial.codes, max_iter=max_iter, tol=tol)

    best = min((once() for _ in range(n_init if n_novel else 1)), key=lambda found: found.inertia)
    return KMeansResult(best.centers + shift, best.labels, best.inertia, best.n_iter, best.converged)


def cluster_names(classes: IntArray, n_novel: int) -> IntArray:
    """Return the labels ``(C + n_novel,)`` of clusters: the known ones, then the numbers after the largest of them."""
    first = int(classes.max()) + 1 if len(classes) else 0
    return np.concatenate([classes, np.arange(first, first + n_novel)]).astype(np.int64)


@final
class SemiSupervisedKMeans(ClusterMixin, BaseEstimator):
    """k-means over old and new classes in which labelled rows keep their class (GCD, Vaze and others, CVPR 2022).

    Unlike :class:`spaceform.clustering.ncd.NCDKMeans`, where known centres only push novel ones away, unlabelled rows
    may be of old classes here. See :func:`semi_supervised_kmeans`.

    Parameters
    ----------
    n_novel : number of classes besides the labelled ones, from 0 (1 without any label) to that of unlabelled rows.
    n_init : draws of the novel centres, the one with the lowest inertia is kept.
    max_iter, tol : stop after so many steps, or when the squared sum of the centres' shifts is below ``tol``.
    random_state : seed.

    Attributes
    ----------
    classes_ : (C,) known labels. cluster_names_ : (C + n_novel,) they, then new numbers from ``max(classes_) + 1`` on.
    cluster_centers_ : (C + n_novel, d), in this order.
    labels_ : (n,) one of ``cluster_names_``; labelled rows have their own label.
    inertia_, n_iter_ : of the kept run.

    Raises
    ------
    InputError for NaN, no unlabelled row, ``n_novel`` outside its range, other labels than integers >= -1. A known
    class with one row warns.

    Notes
    -----
    O(n_init * max_iter * n * k * d). Without labelled rows it is ordinary k-means.

    Examples
    --------
    >>> X = [[0.0], [0.2], [0.4], [5.0], [5.2], [9.0], [9.2]]
    >>> SemiSupervisedKMeans(n_novel=2, random_state=0).fit(X, [7, 7, -1, -1, -1, -1, -1]).predict([[0.3]])
    array([7])
    """

    def __init__(
        self,
        *,
        n_novel: int = 1,
        n_init: int = 10,
        max_iter: int = 300,
        tol: float = 0.0,
        random_state: RandomState = None,
    ) -> None:
        self.n_novel = n_novel
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike | None = None) -> SemiSupervisedKMeans:
        """Cluster the rows ``X (n, d)`` with labels ``y (n,)``, -1 where unlabelled, and return self."""
        rows = check_rows(self, X, fitting=True)
        partial = read_partial(y, len(rows))
        found = semi_supervised_kmeans(
            rows,
            partial,
            self.n_novel,
            n_init=self.n_init,
            max_iter=self.max_iter,
            tol=self.tol,
            random_state=self.random_state,
        )
        self.classes_ = partial.classes
        self.cluster_names_ = cluster_names(partial.classes, int(self.n_novel))
        self.cluster_centers_, self.inertia_, self.n_iter_ = found.centers, found.inertia, found.n_iter
        self.labels_ = self.cluster_names_[found.labels]
        return self

    def fit_predict(self, X: Any, y: ArrayLike | None = None) -> IntArray:
        """Fit and return ``labels_``."""
        return self.fit(X, y).labels_

    def predict(self, X: Any) -> IntArray:
        """Return the name of the nearest cluster of every row."""
        rows = check_rows(self, X, fitting=False)
        return self.cluster_names_[assign_nearest(rows, self.cluster_centers_)[0]]
