"""k-means in which some centres may be known beforehand and some rows may be held to their centre.

One primitive under three clusterings: ordinary k-means, NCD k-means (known centres count in the seeding and take no
rows) and the semi-supervised k-means of category discovery (labelled rows stay with their class, whose centre other
rows may join).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_matrix

from spaceform.checks import check_integer, check_matrix, check_real
from spaceform.errors import InputError
from spaceform.ops.pairs import row_blocks
from spaceform.rng import as_generator
from spaceform.types import BoolArray, FloatArray, IntArray, RandomState

_BLOCK = 4 * 2**20
"""Bytes of rows and scores handled at once: what a core's own cache holds, so that rows are read from memory once."""


@dataclass(frozen=True)
class KMeansResult:
    """``centers (k, d)``, ``labels (n,)`` in ``0..k-1``, ``inertia`` (sum of squared distances), steps taken.

    ``converged`` is False when ``max_iter`` steps were not enough.
    """

    centers: FloatArray
    labels: IntArray
    inertia: float
    n_iter: int
    converged: bool


def kmeans(
    X: FloatArray,
    k: int,
    *,
    known: FloatArray | None = None,
    n_init: int = 10,
    max_iter: int = 300,
    tol: float = 0.0,
    init_power: float = 2.0,
    n_trials: int | None = None,
    random_state: RandomState = None,
) -> KMeansResult:
    """Cluster ``X (n, d)`` into ``k`` clusters and return the best of ``n_init`` runs by inertia.

    Parameters: ``known (m, d)`` are centres that only count in the seeding: a seed far from them is preferred, and
    they take no rows and never move; ``tol`` and ``max_iter`` as in :func:`lloyd`; ``init_power`` and ``n_trials`` as
    in :func:`seed_centers`, where None means ``2 + log k`` trials (scikit-learn's greedy choice).

    Raises ``InputError`` for bad arrays and ``k > n``. O(n_init * iterations * n * k * d).
    """
    X = check_matrix(X)
    check_integer(k, "k", low=1, high=len(X))
    check_integer(n_init, "n_init", low=1)
    rng = as_generator(random_state)
    shift = X.mean(0, dtype=np.float64).astype(X.dtype)
    rows = X - shift
    fixed = None if known is None else check_matrix(known, "known", width=X.shape[1], dtype=X.dtype.type) - shift
    trials = 2 + int(np.log(k)) if n_trials is None else n_trials
    best: KMeansResult | None = None
    for _ in range(n_init):
        seeds = seed_centers(rows, k, known=fixed, init_power=init_power, n_trials=trials, random_state=rng)
        found = _lloyd(rows, seeds, None, None, max_iter, tol)
        if best is None or found.inertia < best.inertia:
            best = found
    assert best is not None  # noqa: S101  # n_init >= 1
    return KMeansResult(best.centers + shift, best.labels, best.inertia, best.n_iter, best.converged)


def seed_centers(
    X: FloatArray,
    k: int,
    *,
    known: FloatArray | None = None,
    init_power: float = 2.0,
    n_trials: int = 1,
    random_state: RandomState = None,
) -> FloatArray:
    """Return ``k`` rows of ``X`` drawn one after the other with probability proportional to ``distance ** init_power``.

    The distance is that to the nearest centre so far, ``known (m, d)`` ones included; without any the first seed is
    uniform. ``init_power=2`` is k-means++ (Arthur and Vassilvitskii, 2007); 1 is what the released code of NCD k-means
    does. Of ``n_trials`` candidates the one with the smallest remaining sum is kept. A row that sits on a centre is
    drawn only when all rows do. O(k n d n_trials).
    """
    check_real(init_power, "init_power", low=0)
    check_integer(n_trials, "n_trials", low=1)
    rng = as_generator(random_state)
    squares = np.einsum("ij,ij->i", X, X)
    seeds = np.empty((k, X.shape[1]), X.dtype)
    first = 0
    if known is None or len(known) == 0:
        seeds[0] = X[rng.integers(len(X))]
        nearest, first = _gaps(X, squares, seeds[:1])[0], 1
    else:
        nearest = _gaps(X, squares, known[:1])[0]
        for center in known[1:]:
            np.minimum(nearest, _gaps(X, squares, center[None])[0], out=nearest)
    for index in range(first, k):
        weights = np.cumsum(nearest ** (init_power / 2), dtype=np.float64)
        if weights[-1] > 0:
            last = np.flatnonzero(nearest)[-1]
            drawn = np.minimum(np.searchsorted(weights, rng.random(n_trials) * weights[-1], side="right"), last)
        else:
            drawn = rng.integers(len(X), size=1)
        candidates = np.minimum(_gaps(X, squares, X[drawn]), nearest)
        winner = int((candidates ** (init_power / 2)).sum(1, dtype=np.float64).argmin())
        seeds[index], nearest = X[drawn[winner]], candidates[winner]
    return seeds


def lloyd(
    X: FloatArray,
    centers: FloatArray,
    *,
    frozen: BoolArray | None = None,
    pinned: IntArray | None = None,
    max_iter: int = 300,
    tol: float = 0.0,
) -> KMeansResult:
    """Alternate assignment and update from given ``centers (k, d)`` until they rest.

    Parameters: ``frozen (k,)`` marks centres that take rows but never move; ``pinned (n,)`` holds a row to a centre,
    -1 leaves it free. Stops when the squared sum of the centres' shifts falls below ``tol`` (or is 0); on data with
    unit variance 1e-4 is the paper's value for NCD k-means. An empty cluster keeps its centre. Labels belong to the
    returned centres.

    Raises ``InputError`` for arrays that don't fit together. O(iterations n k d), O(n) memory.
    """
    X = check_matrix(X)
    start = check_matrix(centers, "centers", width=X.shape[1], dtype=X.dtype.type)
    if frozen is not None and (frozen.dtype != np.bool_ or frozen.shape != (len(start),)):
        raise InputError("frozen", got=f"{frozen.dtype} {frozen.shape}", expected=f"a mask of shape ({len(start)},)")
    if pinned is not None and (pinned.shape != (len(X),) or pinned.min() < -1 or pinned.max() >= len(start)):
        raise InputError("pinned", got=f"shape {pinned.shape}", expected=f"a centre's index or -1 for {len(X)} rows")
    shift = X.mean(0, dtype=np.float64).astype(X.dtype)
    result = _lloyd(X - shift, start - shift, frozen, pinned, max_iter, tol)
    ends = result.centers + shift
    if frozen is not None:
        ends[frozen] = start[frozen]
    return KMeansResult(ends, result.labels, result.inertia, result.n_iter, result.converged)


def assign_nearest(X: FloatArray, centers: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the index of the nearest centre of every row and the squared distance to it; ties to the lowest index."""
    labels = np.empty(len(X), np.int64)
    gaps = np.empty(len(X), X.dtype)
    center_squares, doubled = _prepare(centers, X.dtype)
    for block in _blocks(X, len(centers)):
        scores = X[block] @ doubled
        scores += center_squares
        labels[block] = scores.argmin(1)
        nearest = np.take_along_axis(scores, labels[block, None], 1)[:, 0]
        gaps[block] = np.maximum(nearest + np.einsum("ij,ij->i", X[block], X[block]), 0)
    return labels, gaps


def _lloyd(
    X: FloatArray, centers: FloatArray, frozen: BoolArray | None, pinned: IntArray | None, max_iter: int, tol: float
) -> KMeansResult:
    check_integer(max_iter, "max_iter", low=1)
    check_real(tol, "tol", low=0)
    held = None if pinned is None else np.flatnonzero(pinned >= 0)
    labels = np.empty(len(X), np.int64)
    converged, steps, travel = False, 0, 0.0
    while not converged and steps < max_iter:
        sums, counts = _assign_and_sum(X, centers, labels, pinned, held)
        moved = centers.copy()
        filled = counts > 0
        moved[filled] = sums[filled] / counts[filled, None]
        if frozen is not None:
            moved[frozen] = centers[frozen]
        travel = float(np.sqrt(((moved - centers).astype(np.float64) ** 2).sum(1)).sum())
        centers, steps = moved, steps + 1
        converged = travel == 0 or travel**2 < tol
    inertia = 0.0
    for block, _ in _assign_blocks(X, centers, labels, pinned, held):
        gap = (X[block] - centers[labels[block]]).ravel()
        inertia += float(gap @ gap)
    return KMeansResult(centers, labels, inertia, steps, converged)


def _assign_and_sum(
    X: FloatArray, centers: FloatArray, labels: IntArray, pinned: IntArray | None, held: IntArray | None
) -> tuple[FloatArray, FloatArray]:
    """Write each row's centre into ``labels``; return the sums (k, d) and numbers (k,) of rows per centre, float64."""
    k, width = centers.shape
    sums, counts = np.zeros((k, width)), np.zeros(k)
    for block, own in _assign_blocks(X, centers, labels, pinned, held):
        members = csc_matrix((np.ones(len(own), X.dtype), own, np.arange(len(own) + 1)), shape=(k, len(own)))
        sums += members @ X[block]
        counts += np.bincount(own, minlength=k)
    return sums, counts


def _assign_blocks(
    X: FloatArray, centers: FloatArray, labels: IntArray, pinned: IntArray | None, held: IntArray | None
) -> Iterator[tuple[slice, IntArray]]:
    """Write each row's centre into ``labels`` block by block; yield the block, whose rows are then in the cache."""
    center_squares, doubled = _prepare(centers, X.dtype)
    for block in _blocks(X, len(centers)):
        # |x|^2 is the same for a whole row, so the nearest centre needs only |c|^2 - 2 x.c
        scores = X[block] @ doubled
        scores += center_squares
        own = scores.argmin(1)
        if pinned is not None and held is not None:
            here = held[np.searchsorted(held, block.start) : np.searchsorted(held, block.stop)]
            own[here - block.start] = pinned[here]
        labels[block] = own
        yield block, own


def _prepare(centers: FloatArray, dtype: np.dtype) -> tuple[FloatArray, FloatArray]:
    return np.einsum("ij,ij->i", centers, centers).astype(dtype), np.ascontiguousarray(-2 * centers.T, dtype=dtype)


def _blocks(X: FloatArray, k: int) -> list[slice]:
    return list(row_blocks(len(X), k + X.shape[1], itemsize=X.itemsize, budget=_BLOCK))


def _gaps(X: FloatArray, squares: FloatArray, centers: FloatArray) -> FloatArray:
    """Squared distances (m, n) of all rows to a few centres; what is only rounding counts as 0."""
    center_squares = np.einsum("ij,ij->i", centers, centers)
    scale = squares + center_squares[:, None]
    gaps = scale - 2 * (centers @ X.T)
    return np.where(gaps > 8 * np.finfo(X.dtype).eps * scale, gaps, 0)
