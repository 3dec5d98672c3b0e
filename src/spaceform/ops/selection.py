"""Furthest-point selection: each pick is as far as possible from all before it (k-centre, anchors, next classes)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spaceform.checks import check_choice, check_integer, check_matrix
from spaceform.geometry.flat import squared_distances
from spaceform.ops.pairs import l2_normalize
from spaceform.types import FloatArray, IntArray


def furthest_first(
    distances_from: Callable[[int], FloatArray], near: FloatArray, *, count: int
) -> tuple[IntArray, FloatArray]:
    """Return ``count`` picks and how far each was from all chosen before it (non-increasing).

    Parameters: ``distances_from(i)`` gives the distances ``(n,)`` of all points from point ``i``; ``near (n,)`` the
    distance of every point from what is chosen already (infinite where nothing is). Ties go to the lowest index.

    Gonzalez 1985: after k picks every point is within twice the best possible radius of a pick. Calls
    ``distances_from`` once per pick. Raises ``InputError`` when ``count`` exceeds the number of points.
    """
    check_integer(count, "count", low=0, high=len(near))
    remaining = np.array(near, dtype=np.float64)
    picks = np.empty(count, dtype=np.int64)
    radii = np.empty(count)
    for i in range(count):
        picks[i] = int(remaining.argmax())
        radii[i] = remaining[picks[i]]
        remaining = np.minimum(remaining, distances_from(int(picks[i])))
        remaining[picks[: i + 1]] = -1  # a pick is never taken twice, not even when all the rest are duplicates
    return picks, radii


def furthest_points(X: FloatArray, *, k: int, start: int = 0, metric: str = "euclidean") -> tuple[IntArray, FloatArray]:
    """Return ``k`` rows of ``X (n, d)``, ``start`` first, each furthest from the rows before it, and their distances.

    ``metric`` is ``"euclidean"`` or ``"cosine"`` (1 - cosine). The first distance is infinite. Raises ``InputError``
    for NaN, ``k > n`` or an unknown start. O(n k d) time, O(n) memory.
    """
    rows = check_matrix(X)
    check_choice(metric, "metric", ("euclidean", "cosine"))
    check_integer(k, "k", low=1, high=len(rows))
    check_integer(start, "start", low=0, high=len(rows) - 1)
    if metric == "cosine":
        rows = l2_normalize(rows)

    def distances_from(i: int) -> FloatArray:
        squares = squared_distances(rows[i : i + 1], rows)[0]
        return np.sqrt(squares) if metric == "euclidean" else squares / 2

    near = distances_from(start)
    near[start] = -1
    picks, radii = furthest_first(distances_from, near, count=k - 1)
    return np.append(start, picks), np.append(np.inf, radii)
