"""Exact scores, and the k best of them in a heap with the worst on top; ties go to the lower id."""

from __future__ import annotations

import numpy as np
from numba import njit

from spaceform.compiled import compiled


@compiled(error_model="numpy")
def closeness_of(metric, q, q_norm, rows, at, x_norm):  # type: ignore[no-untyped-def]  # compiled
    """Return the closeness of a query in float64 and the row ``at``."""
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = 0.0
    d = np.uint64(q.shape[0])
    one = np.uint64(1)
    for b in range(d // np.uint64(8)):
        j = np.uint64(b) * np.uint64(8)
        if metric == 1:
            a0 += (q[j] - rows[at, j]) ** 2
            a1 += (q[j + one] - rows[at, j + one]) ** 2
            a2 += (q[j + np.uint64(2)] - rows[at, j + np.uint64(2)]) ** 2
            a3 += (q[j + np.uint64(3)] - rows[at, j + np.uint64(3)]) ** 2
            a4 += (q[j + np.uint64(4)] - rows[at, j + np.uint64(4)]) ** 2
            a5 += (q[j + np.uint64(5)] - rows[at, j + np.uint64(5)]) ** 2
            a6 += (q[j + np.uint64(6)] - rows[at, j + np.uint64(6)]) ** 2
            a7 += (q[j + np.uint64(7)] - rows[at, j + np.uint64(7)]) ** 2
        else:
            a0 += q[j] * rows[at, j]
            a1 += q[j + one] * rows[at, j + one]
            a2 += q[j + np.uint64(2)] * rows[at, j + np.uint64(2)]
            a3 += q[j + np.uint64(3)] * rows[at, j + np.uint64(3)]
            a4 += q[j + np.uint64(4)] * rows[at, j + np.uint64(4)]
            a5 += q[j + np.uint64(5)] * rows[at, j + np.uint64(5)]
            a6 += q[j + np.uint64(6)] * rows[at, j + np.uint64(6)]
            a7 += q[j + np.uint64(7)] * rows[at, j + np.uint64(7)]
    if d % np.uint64(8):
        rest = np.zeros(8)
        for j in range(d - d % np.uint64(8), d):
            rest[j % np.uint64(8)] = (q[j] - rows[at, j]) ** 2 if metric == 1 else q[j] * rows[at, j]
        a0, a1, a2, a3 = a0 + rest[0], a1 + rest[1], a2 + rest[2], a3 + rest[3]
        a4, a5, a6, a7 = a4 + rest[4], a5 + rest[5], a6 + rest[6], a7 + rest[7]
    total = ((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (a6 + a7))
    if metric == 1:
        return 0.0 - np.sqrt(total)
    if metric == 0:
        return min(1.0, max(-1.0, total / (q_norm * x_norm)))
    return total


@njit(inline="always")
def _worse(scores, ids, a, b):  # type: ignore[no-untyped-def]
    return scores[a] < scores[b] or (scores[a] == scores[b] and ids[a] > ids[b])


@compiled(error_model="numpy")
def sink(scores, ids, top, size):  # type: ignore[no-untyped-def]
    """Restore the heap of the worst after its entry ``top`` has changed."""
    while True:
        least = top
        for child in (2 * top + 1, 2 * top + 2):
            if child < size and _worse(scores, ids, child, least):
                least = child
        if least == top:
            return
        scores[top], scores[least] = scores[least], scores[top]
        ids[top], ids[least] = ids[least], ids[top]
        top = least


@compiled(error_model="numpy")
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


@compiled(error_model="numpy")
def sort_best(scores, ids, size):  # type: ignore[no-untyped-def]
    """Turn a heap into a list, best first."""
    for end in range(size - 1, 0, -1):  # take the worst from the top, put it last
        scores[0], scores[end] = scores[end], scores[0]
        ids[0], ids[end] = ids[end], ids[0]
        sink(scores, ids, 0, end)


@compiled(error_model="numpy")
def norm_of(q):  # type: ignore[no-untyped-def]
    """Return the norm of a vector of float64, its squares added up in eight lanes."""
    lanes = np.zeros(8)
    for j in range(len(q)):
        lanes[j % 8] += q[j] * q[j]
    return np.sqrt(((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7])))
