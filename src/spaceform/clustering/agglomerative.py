"""Agglomerative clustering of embeddings by a threshold on their squared distance (FaceNet, section 5.8)."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.base import BaseEstimator, ClusterMixin

from spaceform.checks import check_choice, check_real, check_rows
from spaceform.errors import InputError
from spaceform.ops.pairs import l2_normalize
from spaceform.types import FloatArray

LINKAGES = ("average", "complete", "single")


@final
class AgglomerativeThreshold(ClusterMixin, BaseEstimator):
    """Merge rows, then clusters, as long as the squared distance of unit vectors stays at or below a threshold.

    Parameters
    ----------
    threshold : squared distance in (0, 4]; a verification threshold fits (FaceNet on LFW: 1.242, section 5.6).
    linkage : distance of two clusters: ``"average"`` (mean over pairs; the paper does not say), ``"complete"`` or
        ``"single"``.
    normalize : bring rows to unit length first; without it ``threshold`` is in the squared units of the rows.

    Attributes
    ----------
    labels_ : (n,) int64 cluster of each row, numbered by first appearance. n_clusters_ : their number.

    Raises
    ------
    InputError for NaN, zero vectors (with ``normalize``) or a threshold out of range.

    Notes
    -----
    O(n^2 d) time and 8 n^2 / 2 bytes: 1.6 GB for 20,000 rows.

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> AgglomerativeThreshold(threshold=0.5).fit_predict(rows).tolist()
    [0, 0, 1]
    """

    def __init__(self, *, threshold: float = 1.242, linkage: str = "average", normalize: bool = True) -> None:
        self.threshold = threshold
        self.linkage = linkage
        self.normalize = normalize

    def fit(self, X: ArrayLike, y: object = None) -> AgglomerativeThreshold:
        """Cluster rows ``X (n, d)``; ``y`` is ignored."""
        rows = check_rows(self, X, fitting=True)
        high = 4.0 if self.normalize else None
        threshold = check_real(self.threshold, "threshold", low=0, high=high)
        if threshold == 0:
            raise InputError("threshold", got=0, expected="a squared distance above 0")
        check_choice(self.linkage, "linkage", LINKAGES)
        rows = l2_normalize(rows, name="X") if self.normalize else rows
        self.labels_ = _merge(rows, threshold, self.linkage)
        self.n_clusters_ = int(self.labels_.max()) + 1
        return self


def _merge(rows: FloatArray, threshold: float, method: str) -> np.ndarray:
    if len(rows) == 1:
        return np.zeros(1, dtype=np.int64)
    tree = linkage(pdist(rows, "sqeuclidean"), method)
    found = fcluster(tree, threshold, criterion="distance")
    _, first, labels = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[labels].astype(np.int64)
