"""Clusterings that know the known classes: NCD k-means and NCD spectral clustering (Troisemaine et al., 2024)."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClusterMixin

from spaceform.checks import check_choice, check_integer, check_rows
from spaceform.clustering.kmeans import KMeansResult, assign_nearest, lloyd, seed_centers
from spaceform.clustering.n_clusters import ClusterSweep, sweep_n_clusters
from spaceform.clustering.partial import PartialLabels, check_n_novel, read_partial
from spaceform.clustering.spectral import MAX_DENSE, N_NEIGHBORS, spectral_embedding
from spaceform.errors import InputError
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, RandomState

UPDATES = ("novel", "known", "both")


@final
class NCDKMeans(ClusterMixin, BaseEstimator):
    """k-means for unlabelled rows of novel classes, seeded away from the known classes (section 3.2).

    Centres of known classes are the means of their rows. Novel centres are drawn by k-means++ with the known centres
    counted as centres already, then Lloyd iterations move the novel centres over the unlabelled rows alone.

    Parameters
    ----------
    n_novel : number of novel classes, 1 to the number of unlabelled rows; None takes the k with the best silhouette
        of plain k-means on the unlabelled rows.
    n_init : restarts, the one with the lowest inertia is kept (paper: 10).
    max_iter, tol : stop after so many steps or when the squared sum of the centres' shifts is below ``tol``
        (experiments: 300 and 1e-4 on standardized features; class defaults of the released code: 1000 and 1e-10).
    init_power : seeds are drawn in proportion to distance to this power (paper 2; released code 1).
    update : which centres move: "novel" (the paper's choice), "known" or "both" (its appendix D). Known centres that
        move take unlabelled rows; ``predict`` looks at novel centres only in any case.
    k_range : candidates for ``n_novel=None``.
    random_state : seed.

    Attributes
    ----------
    classes_ : (C,) known labels, empty without any.
    known_centers_ : (C, d) centres of the known classes.
    cluster_centers_ : (n_novel, d) novel centres.
    labels_ : (n,) novel class 0..n_novel-1 of unlabelled rows, -1 for labelled ones.
    inertia_ : sum of squared distances of unlabelled rows to the centres that moved.
    n_iter_, n_novel_ : steps of the kept run, number of novel classes.
    sweep_ : ClusterSweep behind ``n_novel=None``, else None.

    Raises
    ------
    InputError for NaN, no unlabelled row, ``n_novel`` outside its range, other labels than integers >= -1. A known
    class with one row warns.

    Notes
    -----
    O(n_init * max_iter * n * n_novel * d). Without labelled rows it is ordinary k-means. On some tables (letter
    recognition) the known centres bring no gain over k-means.

    Examples
    --------
    >>> X = [[0.0], [0.2], [5.0], [5.2], [9.0], [9.2]]
    >>> NCDKMeans(n_novel=2, random_state=0).fit(X, [7, 7, -1, -1, -1, -1]).predict_known([[0.1], [9.0]])
    array([7, 7])
    """

    def __init__(
        self,
        *,
        n_novel: int | None = None,
        n_init: int = 10,
        max_iter: int = 300,
        tol: float = 1e-4,
        init_power: float = 2.0,
        update: str = "novel",
        k_range: tuple[int, int] = (2, 30),
        random_state: RandomState = None,
    ) -> None:
        self.n_novel = n_novel
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.init_power = init_power
        self.update = update
        self.k_range = k_range
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike | None = None) -> NCDKMeans:
        """Find novel classes in the rows of ``X (n, d)`` whose label in ``y (n,)`` is -1, and return self."""
        rows = check_rows(self, X, fitting=True)
        check_choice(self.update, "update", UPDATES)
        partial = read_partial(y, len(rows), need_known=self.update == "known")
        novel = rows[partial.unlabelled]
        self.n_novel_, self.sweep_ = _number(self.n_novel, novel, self.k_range, self.random_state)
        known = partial.means(rows)
        result, known_ends, novel_ends = self._run(novel, known, self.n_novel_)
        self.classes_ = partial.classes
        self.known_centers_, self.cluster_centers_ = known_ends, novel_ends
        self.inertia_, self.n_iter_ = result.inertia, result.n_iter
        self.labels_ = np.full(len(rows), -1, np.int64)
        self.labels_[partial.unlabelled] = assign_nearest(novel, novel_ends)[0]
        return self

    def fit_predict(self, X: Any, y: ArrayLike | None = None) -> IntArray:
        """Fit and return ``labels_``."""
        return self.fit(X, y).labels_

    def predict(self, X: Any) -> IntArray:
        """Return the nearest novel class ``0..n_novel-1`` of every row."""
        return assign_nearest(check_rows(self, X, fitting=False), self.cluster_centers_)[0]

    def predict_known(self, X: Any) -> np.ndarray:
        """Return the label of the nearest known centre of every row. Raises ``InputError`` without known classes."""
        rows = check_rows(self, X, fitting=False)
        if len(self.classes_) == 0:
            raise InputError("y", got="no labelled row in fit", expected="some, to predict known classes")
        return self.classes_[assign_nearest(rows, self.known_centers_)[0]]

    def discover(self, X: Any, n_novel: int) -> IntArray:
        """Cluster the rows ``X`` afresh into ``n_novel`` classes, seeded by the fitted known centres."""
        rows = check_rows(self, X, fitting=False)
        centers = self._run(rows, self.known_centers_, check_n_novel(n_novel, len(rows)))[2]
        return assign_nearest(rows, centers)[0]

    def estimate_n_novel(self, X: Any, *, index: str = "silhouette", n_runs: int = 3) -> ClusterSweep:
        """Return the sweep over ``k_range`` on the rows ``X`` in the input space."""
        rows = check_rows(self, X, fitting=False)
        return sweep_n_clusters(rows, k_range=self.k_range, index=index, n_runs=n_runs, random_state=self.random_state)

    def _run(self, novel: FloatArray, known: FloatArray, k: int) -> tuple[KMeansResult, FloatArray, FloatArray]:
        """Return the best run with the known and the novel centres at its end."""
        check_integer(self.n_init, "n_init", low=1)
        rng = as_generator(self.random_state)
        shift = novel.mean(0, dtype=np.float64).astype(novel.dtype)
        rows, fixed = novel - shift, (known - shift).astype(novel.dtype)
        best: tuple[KMeansResult, FloatArray] | None = None
        for _ in range(self.n_init):
            seeds = seed_centers(rows, k, known=fixed, init_power=self.init_power, random_state=rng)
            starts = {"novel": seeds, "known": fixed, "both": np.concatenate([fixed, seeds])}[self.update]
            result = lloyd(rows, starts, max_iter=self.max_iter, tol=self.tol)
            if best is None or result.inertia < best[0].inertia:
                best = result, seeds
        assert best is not None  # noqa: S101  # n_init >= 1
        result, seeds = best
        ends = result.centers + shift
        if self.update == "novel":
            return result, known, ends
        if self.update == "known":
            return result, ends, seeds + shift
        return result, ends[: len(known)], ends[len(known) :]


@final
class NCDSpectralClustering(ClusterMixin, BaseEstimator):
    """NCD k-means in the spectral embedding of known and unlabelled rows together (section 3.3).

    See :func:`spaceform.clustering.spectral.spectral_embedding`. Transductive: there is no ``predict``.

    Parameters
    ----------
    n_novel : number of novel classes; None takes the k with the best silhouette of the unlabelled rows, in the
        embedding if ``n_components`` is given (as the released code), else in the input space.
    n_components : eigenvectors after the first; None for ``n_novel`` plus the number of known classes.
    min_dist : number in (0, 1), the square of the similarity that the weakest edge of the spanning tree keeps
        (released code: 0.5 to 0.6); see :func:`tune_spectral`.
    k, max_dense : above ``max_dense`` rows, neighbours per row of the sparse affinity.
    n_init, max_iter, tol : of NCD k-means in the embedding (released code: 10, 1000, 1e-10).
    k_range : candidates for ``n_novel=None``.
    random_state : seed.

    Attributes
    ----------
    embedding_ : (n, n_components) float64.
    classes_, known_centers_, cluster_centers_, labels_, inertia_, n_iter_, n_novel_, sweep_ : as of NCDKMeans, in the
        embedding.

    Raises
    ------
    InputError as NCDKMeans, and for ``min_dist`` outside (0, 1), ``n_components >= n`` and rows that are all equal.

    Notes
    -----
    O(n^2 d) plus Lanczos steps of O(n^2) up to ``max_dense`` rows (16 n^2 bytes), O(n k) above.

    Examples
    --------
    >>> X = [[0.0], [0.2], [0.4], [1.0], [1.2], [1.4], [2.0], [2.2], [2.4]]
    >>> y = [7, 7, 7, -1, -1, -1, -1, -1, -1]
    >>> NCDSpectralClustering(n_novel=2, n_components=2, min_dist=0.01, random_state=0).fit(X, y).labels_
    array([-1, -1, -1,  1,  1,  1,  0,  0,  0])
    """

    def __init__(
        self,
        *,
        n_novel: int | None = None,
        n_components: int | None = None,
        min_dist: float = 0.6,
        k: int = N_NEIGHBORS,
        max_dense: int = MAX_DENSE,
        n_init: int = 10,
        max_iter: int = 1000,
        tol: float = 1e-10,
        k_range: tuple[int, int] = (2, 30),
        random_state: RandomState = None,
    ) -> None:
        self.n_novel = n_novel
        self.n_components = n_components
        self.min_dist = min_dist
        self.k = k
        self.max_dense = max_dense
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.k_range = k_range
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike | None = None) -> NCDSpectralClustering:
        """Find novel classes in the rows of ``X (n, d)`` whose label in ``y (n,)`` is -1, and return self."""
        rows = check_rows(self, X, fitting=True, min_rows=3)
        partial = read_partial(y, len(rows))
        n_novel = self.n_novel
        if n_novel is None and self.n_components is None:
            n_novel = _number(None, rows[partial.unlabelled], self.k_range, self.random_state)[0]
        self.embedding_ = spectral_embedding(
            rows,
            self._components(n_novel, partial, len(rows)),
            self.min_dist,
            k=self.k,
            max_dense=self.max_dense,
        )
        inner = NCDKMeans(
            n_novel=n_novel,
            n_init=self.n_init,
            max_iter=self.max_iter,
            tol=self.tol,
            k_range=self.k_range,
            random_state=self.random_state,
        ).fit(self.embedding_, y)
        self.classes_, self.labels_, self.n_novel_ = inner.classes_, inner.labels_, inner.n_novel_
        self.known_centers_, self.cluster_centers_ = inner.known_centers_, inner.cluster_centers_
        self.inertia_, self.n_iter_, self.sweep_ = inner.inertia_, inner.n_iter_, inner.sweep_
        return self

    def fit_predict(self, X: Any, y: ArrayLike | None = None) -> IntArray:
        """Fit and return ``labels_``: the novel class of unlabelled rows, -1 for labelled ones."""
        return self.fit(X, y).labels_

    def _components(self, n_novel: int | None, partial: PartialLabels, n: int) -> int:
        if self.n_components is not None:
            return self.n_components
        count = check_n_novel(n_novel or 0, int(partial.unlabelled.sum()))
        return min(count + len(partial.classes), n - 1)


def _number(
    n_novel: int | None, novel: FloatArray, k_range: tuple[int, int], random_state: RandomState
) -> tuple[int, ClusterSweep | None]:
    if n_novel is not None:
        return check_n_novel(n_novel, len(novel)), None
    sweep = sweep_n_clusters(novel, k_range=k_range, random_state=random_state)
    return sweep.best, sweep
