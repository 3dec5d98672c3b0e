"""Exact search: the k nearest of all rows, or of those that a mask lets through.

One matrix product per block, in the precision of the data, screens the rows; whatever its rounding error can't
exclude is scored again from coordinate differences in float64. The answer therefore does not depend on how the
rows were cut into blocks, equal vectors tie exactly, and ties go to the lowest row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_choice, check_integer, check_matrix
from spaceform.errors import InputError
from spaceform.geometry import PoincareBall
from spaceform.ops.pairs import ZERO_NORM, row_blocks, squared_distances
from spaceform.space import Space
from spaceform.types import BoolArray, FloatArray, IntArray

METRICS = ("cosine", "euclidean", "ip", "poincare")
"""What may be near: by angle, by distance, by inner product, by distance in the Poincare ball of curvature -1."""

_SAFE = {np.dtype(np.float32): 1e15, np.dtype(np.float64): 1e150}
"""Coordinates up to which products in a precision are far from overflow."""

_PAIR_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Nearest:
    """The answers to q queries, nearest first: ``rows (q, m)`` int64 and ``closeness (q, m)`` float64.

    ``m`` is k, or the number of rows let through if that is smaller. Larger closeness is nearer: the cosine in
    [-1, 1], the inner product, or minus the distance.
    """

    rows: IntArray
    closeness: FloatArray


def exact_search(
    queries: ArrayLike,
    reference: ArrayLike | Space,
    *,
    k: int,
    metric: str = "cosine",
    mask: BoolArray | None = None,
) -> Nearest:
    """Return the ``k`` rows of ``reference`` nearest to each query.

    Parameters: ``queries (q, d)``; ``reference`` a matrix ``(n, d)`` or a Space, whose vectors are streamed if they
    are not in memory; ``metric`` one of `METRICS`; ``mask (n,)`` bool, the rows that may be answers (None: all).

    Raises ``InputError`` for other shapes and types, NaN, infinities, k < 1, zero vectors under ``cosine`` and points
    outside the ball under ``poincare``. O(q n d) time; memory for one block of rows and q k answers.
    """
    check_choice(metric, "metric", METRICS)
    check_integer(k, "k", low=1)
    if not isinstance(reference, Space):
        reference = check_matrix(reference, "reference")
    n, d = (len(reference), reference.dim) if isinstance(reference, Space) else reference.shape
    asked = check_matrix(queries, "queries", width=d)
    _check_points(asked, metric, "queries", start=0)
    allowed = None if mask is None else _check_mask(mask, n)
    found = Nearest(np.empty((len(asked), 0), np.int64), np.empty((len(asked), 0), np.float64))
    for positions, rows in _blocks(reference, allowed):
        _check_points(rows, metric, "reference", start=positions)
        found = _improved(found, (asked, rows, positions), k=k, metric=metric)
    return found


def _blocks(reference: FloatArray | Space, mask: BoolArray | None) -> Iterator[tuple[IntArray, FloatArray]]:
    """Yield blocks of the rows let through, with their positions."""
    if isinstance(reference, Space):
        source: Iterator[FloatArray] = reference.iter_vectors()
    else:
        source = (reference[block] for block in row_blocks(*reference.shape, itemsize=reference.itemsize))
    start = 0
    for rows in source:
        positions = np.arange(start, start + len(rows))
        start += len(rows)
        if mask is not None:
            kept = np.flatnonzero(mask[positions])
            if not len(kept):
                continue
            rows, positions = rows[kept], positions[kept]  # noqa: PLW2901  only what the mask lets through
        yield positions, rows


def _improved(found: Nearest, data: tuple[FloatArray, FloatArray, IntArray], *, k: int, metric: str) -> Nearest:
    """Return the best of the answers so far and one block of rows; the queries are taken block by block."""
    queries, rows, positions = data
    width = min(k, found.rows.shape[1] + len(rows))
    best = Nearest(np.empty((len(queries), width), np.int64), np.empty((len(queries), width), np.float64))
    for block in row_blocks(len(queries), len(rows)):
        before = Nearest(found.rows[block], found.closeness[block])
        who, which = _candidates(before, queries[block], rows, k=k, metric=metric)
        closeness = _closeness(queries[block], rows, (who, which), metric=metric)
        size = before.rows.shape
        owners = np.concatenate([np.repeat(np.arange(size[0]), size[1]), who])
        places = np.concatenate([before.rows.ravel(), positions[which]])
        scores = np.concatenate([before.closeness.ravel(), closeness])
        order = np.lexsort((places, -scores, owners))
        firsts = np.searchsorted(owners[order], np.arange(size[0]))
        chosen = order[firsts[:, None] + np.arange(width)]
        best.rows[block], best.closeness[block] = places[chosen], scores[chosen]
    return best


def _candidates(
    before: Nearest, queries: FloatArray, rows: FloatArray, *, k: int, metric: str
) -> tuple[IntArray, IntArray]:
    """Return pairs (query, row) that may belong to the k best: all but those that rounding can't have lifted there."""
    scores, slack = _screen(queries, rows, metric)
    least = np.full(len(queries), -np.inf)
    if before.rows.shape[1] == k:
        kth = before.closeness[:, -1]
        least = (-(kth**2) if metric == "euclidean" else kth) - slack
    if len(rows) > k:
        within = np.partition(scores, len(rows) - k, axis=1)[:, len(rows) - k]
        least = np.maximum(least, within - 2 * slack)
    who, which = np.nonzero(scores >= least[:, None])
    return who, which


def _screen(queries: FloatArray, rows: FloatArray, metric: str) -> tuple[FloatArray, FloatArray]:
    """Return scores ``(q, m)`` that order as closeness does, and a bound ``(q,)`` on their rounding errors.

    A sum of d products in precision u is off by at most ``d u / (1 - d u)`` times the product of the norms, in any
    order of summation (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1).
    """
    if metric == "poincare":
        ball, points = PoincareBall(), rows.astype(np.float64)
        scores = np.stack([ball.closeness(query[None], points) for query in queries.astype(np.float64)])
        return scores, np.full(len(queries), 1e-9)
    largest = max(float(np.abs(queries).max()), float(np.abs(rows).max()))
    kind = np.result_type(queries, rows)
    kind = np.dtype(np.float64) if largest > _SAFE[kind] else kind
    if metric == "cosine":
        queries, rows = (X / _norms(X)[:, None] for X in (queries, rows))
    elif metric == "euclidean":  # far from the origin differences would drown in the rounding of the squares
        centre = rows.mean(axis=0, dtype=np.float64)
        queries, rows = queries - centre, rows - centre
    limits = np.finfo(kind)
    bound = 4 * (rows.shape[1] + 8) * float(limits.eps)
    reach, size = float(_norms(rows).max()), _norms(queries)
    queries, rows = queries.astype(kind), rows.astype(kind)
    floor = rows.shape[1] * float(limits.tiny)
    if metric == "euclidean":
        return -squared_distances(queries, rows).astype(np.float64), bound * (size + reach) ** 2 + floor
    return (queries @ rows.T).astype(np.float64), bound * size * reach + floor


def _closeness(queries: FloatArray, rows: FloatArray, pairs: tuple[IntArray, IntArray], *, metric: str) -> FloatArray:
    """Return the closeness of pairs in float64, each from its two vectors alone."""
    result = np.empty(len(pairs[0]), dtype=np.float64)
    for block in row_blocks(len(result), rows.shape[1], budget=_PAIR_BYTES):
        a, b = queries[pairs[0][block]].astype(np.float64), rows[pairs[1][block]].astype(np.float64)
        if metric == "poincare":
            result[block] = PoincareBall().closeness(a, b)
        elif metric == "euclidean":
            result[block] = 0.0 - np.sqrt(((a - b) ** 2).sum(axis=1))
        elif metric == "ip":
            result[block] = (a * b).sum(axis=1)
        else:
            result[block] = np.clip((a * b).sum(axis=1) / (_norms(a) * _norms(b)), -1.0, 1.0)
    return result


def _norms(X: FloatArray) -> FloatArray:
    return np.sqrt(np.einsum("nd,nd->n", X, X, dtype=np.float64))


def _check_mask(mask: BoolArray, n: int) -> BoolArray:
    array = np.asarray(mask)
    if array.dtype != np.bool_ or array.shape != (n,):
        raise InputError("mask", got=f"{array.dtype} of shape {array.shape}", expected=f"booleans of shape ({n},)")
    return array


def _check_points(X: FloatArray, metric: str, name: str, *, start: IntArray | int) -> None:
    """Refuse vectors that the metric does not know."""
    if metric in ("euclidean", "ip"):
        if float(np.abs(X).max()) > _SAFE[np.dtype(np.float64)]:
            raise InputError(name, got="coordinates beyond 1e150", expected="smaller values", remedy="rescale")
        return
    norms = _norms(X)
    bad = np.flatnonzero(norms < ZERO_NORM if metric == "cosine" else norms >= 1)
    if len(bad):
        row = bad[0] if isinstance(start, int) else start[bad[0]]
        expected = "rows with a direction" if metric == "cosine" else "rows of norm below 1"
        raise InputError(name, got=f"norm {norms[bad[0]]:.3g} in row {row}", expected=expected)
