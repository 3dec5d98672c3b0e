"""The least weighted variance over finitely many candidates, in blocks, with ties broken by rank instead of rounding.

Every sum ``sum_i w_i d(y, l_i)^2`` has only non-negative terms, so its rounding is relative to the sum itself, and
candidates within a relative tolerance of the least one count as tied. On a metric, two tied candidates at distance
``e`` have a variance of at least ``e^2 / 4`` times the weight, so that a relative tolerance can't join far ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from spaceform.types import FloatArray, IntArray

VARIANCE_BYTES = 64 * 2**20
"""Budget of one block of variances (rows times candidates)."""

DISTANCE_BYTES = 512 * 2**20
"""Budget of the squared distances (observed times candidates) that are held at once."""


def tie_tolerance(dtype: np.dtype | type) -> float:
    """Return the relative difference below which variances of this precision count as equal (1e-11; float32: 1e-5)."""
    return 1e-5 if np.dtype(dtype).itemsize <= 4 else 1e-11


def blocks(n: int, width: int, budget: int, *, itemsize: int = 8) -> Iterator[slice]:
    """Yield slices over ``n`` such that each, times ``width`` numbers, stays within ``budget`` bytes."""
    step = max(1, budget // max(1, width * itemsize))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))


def least_variance(
    weights: FloatArray,
    squared: Callable[[slice], FloatArray],
    count: int,
    *,
    tolerance: float,
    block: int | None = None,
) -> tuple[IntArray, FloatArray]:
    """Return position (n,) and value (n,) of the least ``(weights @ squared)[row]``, the first of those that tie.

    Parameters: ``weights (n, K)``; ``squared(slice)`` gives the columns ``(K, m)`` of the squared distances;
    ``count`` columns in all; ``block`` columns at a time (default: as many as fit). O(n K count) time in matrix
    products, one block of memory.
    """
    n, k = weights.shape
    value = np.full(n, np.inf, dtype=np.float64)
    position = np.zeros(n, dtype=np.int64)
    columns = blocks(count, k, DISTANCE_BYTES) if block is None else blocks(count, 1, block, itemsize=1)
    for chosen in columns:
        sq_dist = squared(chosen)
        for rows in blocks(n, sq_dist.shape[1], VARIANCE_BYTES, itemsize=weights.itemsize):
            sums = weights[rows] @ sq_dist
            least = sums.min(axis=1)
            # an earlier block keeps its place unless this one is better by more than rounding
            better = least < value[rows] * (1 - tolerance)
            if better.any():
                first = (sums[better] <= (least[better] * (1 + tolerance))[:, None]).argmax(axis=1)
                position[rows][better] = first + chosen.start
                value[rows][better] = np.take_along_axis(sums[better], first[:, None], axis=1)[:, 0]
    return position, value
