"""How far two spaces of the same items agree: maps fitted on one half and judged on the other, and neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import spearmanr

from spaceform.heads.alignment import SpaceMap, explained_variance, fit_linear_map, fit_rigid_map
from spaceform.metrics.agreement import linear_cka
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.rng import as_generator, derive_seed
from spaceform.types import BoolArray, FloatArray, IntArray

WIDEST = 512
"""Wider vectors are reduced to so many principal components: an SVD of thousands of columns takes minutes."""

WIDE = 2_000
"""Up to so many rows or columns an SVD is exact, beyond it is randomised."""

ROWS_PER_DIMENSION = 4
"""A map is fitted with at least so many rows per dimension, on fewer principal components if need be."""

SPLITS = 3
"""Random halvings; either half is fitted on and judged once."""

PAIRS = 20_000
"""Pairs of rows whose distances are compared."""

NEIGHBOURS = 10

Fit = Callable[[FloatArray, FloatArray], SpaceMap]
Halves = list[tuple[IntArray, IntArray]]


@dataclass(frozen=True, eq=False)
class Ground:
    """Vectors ``A (n, d)`` and ``B (n, e)``, centred and at most 512 wide, their neighbours, and what maps see of them.

    ``kept_a``, ``kept_b``: shares of variance left by the reduction. ``slim_a``, ``slim_b``: the first columns, in
    which maps are fitted, with at least the share ``slim_kept`` of the variance of either. ``near_a``, ``near_b``
    ``(n, k)``: the nearest rows. ``halves``: rows to fit on, rows to judge.
    """

    A: FloatArray = field(repr=False)
    B: FloatArray = field(repr=False)
    kept_a: float
    kept_b: float
    slim_a: FloatArray = field(repr=False)
    slim_b: FloatArray = field(repr=False)
    slim_kept: float
    near_a: IntArray = field(repr=False)
    near_b: IntArray = field(repr=False)
    halves: Halves = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Figures of two spaces over held-out rows; 1 is full agreement, but for ``gap``.

    ``rigid``: variance of one space that rotation, scale and shift of the other explain, the worse direction;
    ``rigid_fitted``: the same on the rows the map was fitted on; ``linear``: the variance that the best linear map
    explains, the better direction; ``share``: the smaller of rigid / linear over directions, cut to [0, 1].
    ``neighbours``: mean Jaccard overlap of the ``k`` nearest rows; ``distances``: rank correlation of distances;
    ``gap``: what is left of the variance of distances when the best factor is taken out, 0 for an isometry; ``cka``.
    """

    rigid: float
    rigid_fitted: float
    linear: float
    share: float
    share_low: float
    share_high: float
    neighbours: float
    k: int
    distances: float
    gap: float
    cka: float


def prepare(A: FloatArray, B: FloatArray, labels: np.ndarray | None, *, seed: int) -> Ground:
    """Reduce, search neighbours, and draw halves (of every class alike where there are labels). O(n^2 (d + e))."""
    n = len(A)
    (first, kept_a), (second, kept_b) = (_components(X, WIDEST, seed) for X in (A, B))
    most = max(2, n // 2 // ROWS_PER_DIMENSION)
    k = min(NEIGHBOURS, max(1, n // 10))
    near = [nearest_neighbors(X.astype(np.float32), k=k)[1] for X in (first, second)]
    (slim_a, left_a), (slim_b, left_b) = (_components(X, most, seed) for X in (first, second))
    return Ground(
        A=first,
        B=second,
        kept_a=kept_a,
        kept_b=kept_b,
        slim_a=slim_a,
        slim_b=slim_b,
        slim_kept=min(left_a, left_b),
        near_a=near[0],
        near_b=near[1],
        halves=list(_halves(n, labels, seed)),
    )


def measure(ground: Ground, kept: BoolArray, *, seed: int) -> Agreement:
    """Return the figures over the ``kept`` rows ``(n,)``; maps are fitted on kept rows only, too."""
    ab = held_out(ground.slim_a, ground.slim_b, ground.halves, fit_rigid_map, kept=kept)
    ba = held_out(ground.slim_b, ground.slim_a, ground.halves, fit_rigid_map, kept=kept)
    linear_ab = held_out(ground.slim_a, ground.slim_b, ground.halves, fit_linear_map, kept=kept)
    linear_ba = held_out(ground.slim_b, ground.slim_a, ground.halves, fit_linear_map, kept=kept)
    shares = np.minimum(share(ab.explained, linear_ab.explained), share(ba.explained, linear_ba.explained))
    near, far = distances(ground, kept, seed=seed)
    return Agreement(
        rigid=float(min(ab.explained.mean(), ba.explained.mean())),
        rigid_fitted=float(min(ab.fitted.mean(), ba.fitted.mean())),
        linear=float(max(linear_ab.explained.mean(), linear_ba.explained.mean())),
        share=float(shares.mean()),
        share_low=float(shares.min()),
        share_high=float(shares.max()),
        neighbours=float(overlap(ground.near_a, ground.near_b)[kept].mean()),
        k=ground.near_a.shape[1],
        distances=float(spearmanr(near, far)[0]),
        gap=distance_gap(near, far),
        cka=linear_cka(ground.A[kept], ground.B[kept]),
    )


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Explained variance per fit on held-out (``explained``) and fitted rows, and each row's mean squared ``error``.

    A row that no half judged has error 0.
    """

    explained: FloatArray
    fitted: FloatArray
    error: FloatArray = field(repr=False)


def held_out(A: FloatArray, B: FloatArray, halves: Halves, fit: Fit, *, kept: BoolArray) -> HeldOut:
    """Fit on the kept rows of each half and judge on the other: figures over kept rows, errors of all."""
    explained, fitted, error = [], [], np.zeros(len(A))
    times = np.zeros(len(A))
    for one, other in halves:
        inside, outside = one[kept[one]], other[kept[other]]
        made = fit(A[inside], B[inside])
        explained.append(explained_variance(B[outside], made(A[outside])))
        fitted.append(explained_variance(B[inside], made(A[inside])))
        error[other] += np.square(B[other] - made(A[other])).sum(1)
        times[other] += 1
    return HeldOut(np.array(explained), np.array(fitted), error / np.maximum(times, 1))


def share(rigid: FloatArray, linear: FloatArray) -> FloatArray:
    """Return how much of what a linear map explains a rigid one does, cut to [0, 1]; 0 where neither explains any."""
    most = np.maximum(rigid, linear)
    return np.clip(np.divide(rigid, most, out=np.zeros_like(most), where=most > 0), 0, 1)


def overlap(near_a: IntArray, near_b: IntArray) -> FloatArray:
    """Return the Jaccard overlap ``(n,)`` of two neighbour lists ``(n, k)`` of the same rows. O(n k^2)."""
    k = near_a.shape[1]
    shared = (near_a[:, :, None] == near_b[:, None, :]).any(2).sum(1)
    return np.asarray(shared / (2 * k - shared))


def distances(ground: Ground, kept: BoolArray, *, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return the distances of random pairs of kept rows in both spaces."""
    rows = np.flatnonzero(kept)
    drawn = as_generator(derive_seed(seed, "pairs")).integers(0, len(rows), (2, PAIRS))
    i, j = rows[drawn[:, drawn[0] != drawn[1]]]
    first, second = (np.linalg.norm(X[i] - X[j], axis=1) for X in (ground.A, ground.B))
    return first, second


def distance_gap(a: FloatArray, b: FloatArray) -> float:
    """Return ``sum (c a - b)^2 / sum (b - mean)^2`` with the best factor ``c``: 0 exactly for an isometry and scale."""
    factor = float(a @ b / (a @ a))
    left = float(np.square(factor * a - b).sum())
    spread = float(np.square(b - b.mean()).sum())
    return left / spread if spread > 0 else float(left > 1e-9 * float(b @ b))


def _components(X: FloatArray, most: int, seed: int) -> tuple[FloatArray, float]:
    """Return the centred rows, in their first ``most`` principal components if they are wider; and the share left."""
    centred = X - X.mean(0)
    if X.shape[1] <= most:
        return centred, 1.0
    from sklearn.decomposition import PCA

    parts = min(most, len(X) - 1)
    state = derive_seed(seed, "components") % 2**31
    if min(X.shape) <= WIDE:
        made = PCA(parts, svd_solver="full", random_state=state)
    else:
        made = PCA(parts, svd_solver="randomized", iterated_power=2, random_state=state)
        centred = centred.astype(np.float32)
    slim = made.fit_transform(centred).astype(np.float64)
    return slim, float(np.square(slim).sum() / max(float(np.square(centred).sum(dtype=np.float64)), 1e-300))


def _halves(n: int, labels: np.ndarray | None, seed: int) -> Iterator[tuple[IntArray, IntArray]]:
    for split in range(SPLITS):
        order = as_generator(derive_seed(seed, "halves", split)).permutation(n)
        if labels is not None:
            codes = np.unique([str(name) for name in labels], return_inverse=True)[1]
            order = order[np.argsort(codes[order], kind="stable")]
        shuffle = as_generator(derive_seed(seed, "order", split)).permutation
        one, other = shuffle(order[::2]), shuffle(order[1::2])
        yield one, other
        yield other, one
