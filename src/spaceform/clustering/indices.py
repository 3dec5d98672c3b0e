"""Validity indices: how well separated the clusters of one clustering are, without any true label.

Each takes what it needs and nothing more; those on pairwise distances share one matrix over a whole sweep of k.
"""

from __future__ import annotations

import numpy as np

from spaceform.errors import InputError
from spaceform.types import FloatArray, IntArray


def distance_matrix(X: FloatArray) -> FloatArray:
    """Return the Euclidean distances ``(n, n)`` of the rows of ``X``, the diagonal exactly 0. O(n^2 d)."""
    from scipy.spatial.distance import pdist, squareform

    square: FloatArray = squareform(pdist(np.asarray(X, dtype=np.float64)))
    return square


def silhouette_samples(distances: FloatArray, labels: IntArray) -> FloatArray:
    """Return ``(b - a) / max(a, b)`` per row, in [-1, 1] (Rousseeuw, 1987).

    ``a`` is the mean distance to the rest of the row's cluster, ``b`` the smallest mean distance to another cluster;
    a cluster of one row has silhouette 0. ``distances (n, n)`` symmetric with zero diagonal, ``labels (n,)``.
    Raises ``InputError`` for fewer than 2 clusters or one per row. O(n^2 k) multiply-adds.
    """
    own, counts = _membership(labels, len(distances))
    if not 2 <= len(counts) <= len(distances) - 1:
        raise InputError("labels", got=f"{len(counts)} clusters", expected=f"2 to {len(distances) - 1} clusters")
    totals = distances @ np.eye(len(counts))[own]
    rows = np.arange(len(own))
    inside = totals[rows, own] / np.maximum(counts[own] - 1, 1)
    means = totals / counts
    means[rows, own] = np.inf
    outside = means.min(1)
    scale = np.maximum(inside, outside)
    values = np.divide(outside - inside, scale, out=np.zeros(len(own)), where=scale > 0)
    return np.where(counts[own] > 1, values, 0.0)


def silhouette(distances: FloatArray, labels: IntArray) -> float:
    """Return the mean of :func:`silhouette_samples`; larger is better."""
    return float(silhouette_samples(distances, labels).mean())


def dunn(distances: FloatArray, labels: IntArray) -> float:
    """Return the smallest distance between clusters over the largest diameter (Dunn, 1974); larger is better.

    Infinity when every cluster is one point. Raises ``InputError`` for fewer than 2 clusters. O(n^2).
    """
    own, counts = _membership(labels, len(distances))
    if len(counts) < 2:
        raise InputError("labels", got="1 cluster", expected="at least 2 clusters")
    same = own[:, None] == own
    diameter = float(distances[same].max())
    gap = float(distances[~same].min())
    return gap / diameter if diameter > 0 else float("inf")


def calinski_harabasz(X: FloatArray, labels: IntArray) -> float:
    """Return scatter between over within clusters, per degree of freedom (1974); larger is better. O(n d)."""
    from sklearn.metrics import calinski_harabasz_score

    return float(calinski_harabasz_score(X, labels))


def davies_bouldin(X: FloatArray, labels: IntArray) -> float:
    """Return the mean over clusters of the worst spread-to-gap ratio (1979), >= 0; smaller is better. O(n d)."""
    from sklearn.metrics import davies_bouldin_score

    return float(davies_bouldin_score(X, labels))


def knee(xs: FloatArray, ys: FloatArray) -> int:
    """Return the position where a falling convex curve is farthest below the chord between its ends (the elbow).

    Both axes are scaled to [0, 1] first. A straight or flat curve has its knee at position 0.
    """
    span = ys[0] - ys[-1]
    if len(xs) < 3 or span <= 0:
        return 0
    across = (xs - xs[0]) / (xs[-1] - xs[0])
    down = (ys[0] - ys) / span
    return int(np.argmax(np.round(down - across, 12)))


def _membership(labels: IntArray, n: int) -> tuple[IntArray, IntArray]:
    names = np.asarray(labels)
    if names.shape != (n,):
        raise InputError("labels", got=f"shape {names.shape}", expected=f"shape ({n},)")
    _, own, counts = np.unique(names, return_inverse=True, return_counts=True)
    return own, counts
