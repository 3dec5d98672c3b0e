"""Frechet means over finitely many candidates: the point with the least weighted sum of SQUARED distances."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_matrix
from spaceform.errors import InputError
from spaceform.geometry.finite import LabelMetric
from spaceform.geometry.variance import VARIANCE_BYTES, blocks, least_variance, tie_tolerance
from spaceform.types import BoolArray, FloatArray, IntArray


@overload
def frechet_mean(
    weights: ArrayLike,
    sq_dist: ArrayLike,
    *,
    candidates: ArrayLike | None = None,
    return_variance: Literal[False] = False,
    tolerance: float | None = None,
) -> IntArray: ...
@overload
def frechet_mean(
    weights: ArrayLike,
    sq_dist: ArrayLike,
    *,
    candidates: ArrayLike | None = None,
    return_variance: Literal[True],
    tolerance: float | None = None,
) -> tuple[IntArray, FloatArray]: ...
def frechet_mean(
    weights: ArrayLike,
    sq_dist: ArrayLike,
    *,
    candidates: ArrayLike | None = None,
    return_variance: bool = False,
    tolerance: float | None = None,
) -> IntArray | tuple[IntArray, FloatArray]:
    """Return for each row of weights the candidate ``argmin_y sum_k weights[n, k] sq_dist[k, y]``.

    Parameters: ``weights (n, K)`` non-negative, no row all zero, of any scale; ``sq_dist (K, N)`` squared distances
    from the K weighted points to the N candidates; ``candidates`` ids (M,) that may be returned (None: all);
    ``return_variance`` adds the least sums ``(n,)``; ``tolerance`` the relative difference under which two sums tie
    (None: 1e-11, or 1e-5 if one of the inputs is float32). Of tied candidates the lowest id is returned.

    Distances have to be squared: without, the result is the Frechet median, which on a path always is an end.
    Raises ``InputError`` for negative, NaN or infinite input, zero rows and disagreeing shapes.
    Computed in float64 unless both inputs are float32. O(n K N) time in blocks of at most 64 MiB.
    """
    table = _check_squares(sq_dist)
    W = check_weights(weights, len(table))
    coarser = min(W.dtype, table.dtype, key=lambda dtype: dtype.itemsize)
    if W.dtype != table.dtype:
        W, table = W.astype(np.float64), table.astype(np.float64, copy=False)
    ids = check_candidates(candidates, table.shape[1])
    chosen = table if candidates is None else table[:, ids]
    found, variance = least_variance(
        W,
        lambda columns: chosen[:, columns],
        len(ids),
        tolerance=tie_tolerance(coarser) if tolerance is None else tolerance,
    )
    return (ids[found], variance) if return_variance else ids[found]


def frechet_mean_set(weights: ArrayLike, sq_dist: ArrayLike, *, tolerance: float = 1e-9) -> BoolArray:
    """Return the mask ``(n, N)`` of all candidates that attain the least variance: the set-valued Frechet mean.

    A candidate belongs when its sum exceeds the least one by at most ``tolerance`` times the largest squared distance
    times the weight of the row. Parameters and errors as in :func:`frechet_mean`. O(n K N) time, O(n N) result.
    """
    table = _check_squares(sq_dist).astype(np.float64, copy=False)
    W = check_weights(weights, len(table)).astype(np.float64, copy=False)
    result = np.empty((len(W), table.shape[1]), dtype=bool)
    slack = tolerance * table.max(initial=0) * W.sum(axis=1, keepdims=True)
    for rows in blocks(len(W), table.shape[1], VARIANCE_BYTES):
        sums = W[rows] @ table
        result[rows] = sums <= sums.min(axis=1, keepdims=True) + slack[rows]
    return result


def label_means(
    weights: ArrayLike,
    metric: LabelMetric,
    observed: ArrayLike,
    *,
    candidates: ArrayLike | None = None,
    tolerance: float | None = None,
) -> tuple[IntArray, FloatArray]:
    """Return ids (n,) and variances (n,) of the Frechet means on a label metric, by its fastest exact way.

    Parameters: ``weights (n, K)`` as in :func:`frechet_mean`, its columns in the order of ``observed (K,)``, distinct
    ids of ``metric``; ``candidates`` ids that may be returned (None: every label). On a tree O(n S) for a spanned
    subtree of S labels; else O(n K N) in blocks of distances that are made on demand.
    """
    ids = metric.distinct(observed)
    W = check_weights(weights, len(ids))
    chosen = None if candidates is None else check_candidates(candidates, len(metric))
    return metric.means(W, ids, candidates=chosen, tolerance=tolerance)


def check_weights(weights: ArrayLike, width: int, name: str = "weights") -> FloatArray:
    """Return ``weights (n, width)`` if they are finite, non-negative and without zero rows; else ``InputError``."""
    W = check_matrix(weights, name, min_rows=0, width=width)
    if (W < 0).any():
        row = int((W < 0).any(axis=1).argmax())
        raise InputError(name, got=f"a negative value (first in row {row})", expected="values >= 0")
    empty = W.sum(axis=1) <= 0
    if empty.any():
        raise InputError(name, got=f"only zeros in row {int(empty.argmax())}", expected="a positive value in every row")
    return W


def check_candidates(candidates: ArrayLike | None, count: int) -> IntArray:
    """Return the ascending distinct ids among ``candidates`` (None: all ``count``); else ``InputError``."""
    if candidates is None:
        return np.arange(count)
    ids = np.asarray(candidates)
    if ids.ndim != 1 or len(ids) == 0 or ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= count:
        raise InputError("candidates", got=f"{ids.dtype} of shape {ids.shape}", expected=f"ids from 0 to {count - 1}")
    return np.unique(ids).astype(np.int64)


def _check_squares(sq_dist: ArrayLike) -> FloatArray:
    table = check_matrix(sq_dist, "sq_dist")
    if (table < 0).any():
        raise InputError("sq_dist", got="a negative value", expected="squared distances >= 0")
    return table
