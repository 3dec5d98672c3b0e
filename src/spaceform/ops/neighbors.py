"""Exact nearest neighbours in blocks: never an n-by-n matrix in memory, and ties always go to the lowest row."""

from __future__ import annotations

import numpy as np

from spaceform.checks import check_choice, check_integer
from spaceform.ops.pairs import l2_normalize, row_blocks
from spaceform.types import FloatArray, IntArray

METRICS = ("euclidean", "cosine")


def nearest_neighbors(
    queries: FloatArray,
    reference: FloatArray | None = None,
    *,
    k: int,
    metric: str = "euclidean",
) -> tuple[FloatArray, IntArray]:
    """Return distances and indices ``(n, k)`` of the ``k`` nearest reference rows of every query row, nearest first.

    Parameters: ``queries (n, d)`` and ``reference (m, d)`` finite float arrays; with ``reference=None`` the
    queries are searched among themselves and a row is never its own neighbour. ``metric`` is ``euclidean``
    (distance) or ``cosine`` (1 - cosine, in [0, 2]). Distances below about ``1e-3`` of the vectors' length
    carry rounding in float32 input.

    Raises ``InputError`` when ``k`` exceeds the number of candidates. O(n m d) time, O(n k) memory plus one block.
    """
    check_choice(metric, "metric", METRICS)
    within = reference is None
    base = queries if reference is None else reference
    check_integer(k, "k", low=1, high=len(base) - within)
    if metric == "cosine":
        base = l2_normalize(base, name="reference")
        queries = base if within else l2_normalize(queries, name="queries")
    base_squares = (base * base).sum(1)
    distances = np.empty((len(queries), k), dtype=base.dtype)
    indices = np.empty((len(queries), k), dtype=np.int64)
    for block in row_blocks(len(queries), len(base), itemsize=base.itemsize):
        rows = queries[block]
        # |a|^2 is the same for a whole row, so the order needs only |b|^2 - 2 a.b
        scores = rows @ base.T
        scores *= -2
        scores += base_squares
        if within:
            scores[np.arange(len(rows)), np.arange(block.start, block.stop)] = np.inf
        nearest = _smallest(scores, k)
        indices[block] = nearest
        squares = np.take_along_axis(scores, nearest, 1) + (rows * rows).sum(1, keepdims=True)
        distances[block] = np.maximum(squares, 0)
    return (np.sqrt(distances) if metric == "euclidean" else distances / 2), indices


def _smallest(scores: FloatArray, k: int) -> IntArray:
    """Indices of the ``k`` smallest entries per row, ascending; equal entries in order of their column."""
    columns = scores.shape[1]
    if k >= columns:
        return np.argsort(scores, axis=1, kind="stable").astype(np.int64)
    candidates = np.argpartition(scores, k - 1, axis=1)[:, :k]
    threshold = np.take_along_axis(scores, candidates, 1).max(1, keepdims=True)
    tied = (scores <= threshold).sum(1) > k
    candidates.sort(axis=1)
    order = np.argsort(np.take_along_axis(scores, candidates, 1), axis=1, kind="stable")
    result = np.take_along_axis(candidates, order, 1).astype(np.int64)
    for row in np.flatnonzero(tied):
        result[row] = np.argsort(scores[row], kind="stable")[:k]
    return result
