"""Exact scores, and the k best of them in a heap with the worst on top; ties go to the lower id."""

from __future__ import annotations

import numpy as np
from numba import njit

from spaceform.compiled import compiled
from spaceform.search.filtered.scan.instructions import product_of, squares_of


@compiled(error_model="numpy", counted=False)
def closeness_of(metric, q, q_norm, rows, at, x_norm):  # type: ignore[no-untyped-def]  # compiled
    """Return the closeness of a query in float64, of float32 numbers, and the row ``at``."""
    if metric == 1:
        return 0.0 - np.sqrt(squares_of(q, rows, at))
    total = product_of(q, rows, at)
    if metric == 0:
        return min(1.0, max(-1.0, total / (q_norm * x_norm)))
    return total


@njit(inline="always")
def _worse(scores, ids, a, b):  # type: ignore[no-untyped-def]
    return scores[a] < scores[b] or (scores[a] == scores[b] and ids[a] > ids[b])


@compiled(error_model="numpy", counted=False)
def sink(scores, ids, top, size):  # type: ignore[no-untyped-def]
    """Restore the heap of the worst after its entry ``top`` has changed."""
    while True:
        least, left, right = top, 2 * top + 1, 2 * top + 2
        if left < size and _worse(scores, ids, left, least):
            least = left
        if right < size and _worse(scores, ids, right, least):
            least = right
        if least == top:
            return
        scores[top], scores[least] = scores[least], scores[top]
        ids[top], ids[least] = ids[least], ids[top]
        top = least


@compiled(error_model="numpy", counted=False)
def offer(metric, closeness, row, scores, ids, size, limit):  # type: ignore[no-untyped-def]
    """Put a row among the best; ``limit`` becomes the score that an upper bound must reach from now on."""
    k = len(scores)
    n = size[0]
    if n < k:
        scores[n], ids[n] = closeness, row
        child = n
        while child > 0 and _worse(scores, ids, child, (child - 1) // 2):
            parent = (child - 1) // 2
            scores[child], scores[parent] = scores[parent], scores[child]
            ids[child], ids[parent] = ids[parent], ids[child]
            child = parent
        size[0] = n + 1
    elif closeness > scores[0] or (closeness == scores[0] and row < ids[0]):
        scores[0], ids[0] = closeness, row
        sink(scores, ids, 0, k)
    if size[0] == k:
        limit[0] = -scores[0] * scores[0] * (1 + 1e-12) if metric == 1 else scores[0]


@compiled(error_model="numpy", counted=False)
def sort_best(scores, ids, size):  # type: ignore[no-untyped-def]
    """Turn a heap into a list, best first."""
    for end in range(size - 1, 0, -1):  # take the worst from the top, put it last
        scores[0], scores[end] = scores[end], scores[0]
        ids[0], ids[end] = ids[end], ids[0]
        sink(scores, ids, 0, end)


@compiled(error_model="numpy", counted=False)
def norm_of(q):  # type: ignore[no-untyped-def]
    """Return the norm of a vector of float32 numbers in float64."""
    return np.sqrt(product_of(q, q, 0))
