"""Maps from one embedding space into another, fitted on rows that both have: rigid, or any linear one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_matrix, check_real
from spaceform.errors import InputError
from spaceform.types import FloatArray

RIDGES = (1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties tried, as shares of the mean variance of a direction."""


@dataclass(frozen=True, eq=False)
class SpaceMap:
    """``x -> (x - origin) @ matrix + target``; ``scale`` is the factor of a rigid map, NaN of another."""

    origin: FloatArray = field(repr=False)
    matrix: FloatArray = field(repr=False)
    target: FloatArray = field(repr=False)
    scale: float

    def __call__(self, X: ArrayLike) -> FloatArray:
        """Return rows ``X (n, d)`` of the first space as rows ``(n, e)`` of the second. O(n d e)."""
        rows = check_matrix(X, width=len(self.origin), dtype=np.float64)
        moved: FloatArray = (rows - self.origin) @ self.matrix + self.target
        return moved


def fit_rigid_map(A: ArrayLike, B: ArrayLike, *, scaled: bool = True) -> SpaceMap:
    """Return the rotation or reflection, scale and shift that bring ``A (n, d)`` nearest to ``B (n, e)``.

    Least squares over ``c (a - mean) R + mean'`` (Schoenemann, 1966): with ``U S V' = A'B`` of the centred sets ``R``
    is ``U V'`` and ``c = sum(S) / |A|^2`` (1 unless ``scaled``). Into more dimensions ``R`` is an isometry; into fewer
    it drops the directions that tell nothing. With fewer rows than dimensions directions that no row has are arbitrary.

    Raises ``InputError`` for NaN, other lengths and a set of equal rows. O(n d e) and an SVD of d x e.
    """
    first, second, origin, target = _centred_pair(A, B)
    left, values, right = np.linalg.svd(first.T @ second, full_matrices=False)
    scale = float(values.sum() / (first * first).sum()) if scaled else 1.0
    return SpaceMap(origin, scale * (left @ right), target, scale)


def fit_linear_map(A: ArrayLike, B: ArrayLike, *, held_out: float = 0.25) -> SpaceMap:
    """Return the linear map with a shift that brings ``A (n, d)`` nearest to ``B (n, e)``, by ridge regression.

    The penalty is chosen from eight by the error on the last share ``held_out`` of the rows: give them in random
    order. This is what any reader of linear functions of ``A`` can know of ``B``.

    Raises ``InputError`` as :func:`fit_rigid_map`, for fewer than 4 rows and ``held_out`` outside (0, 1).
    O(n d (d + e)).
    """
    check_real(held_out, "held_out", low=0, high=1, open_ends=True)
    first, second, origin, target = _centred_pair(A, B, min_rows=4)
    kept = min(len(first) - 1, max(2, round((1 - held_out) * len(first))))
    trial = _ridges(first[:kept], second[:kept], RIDGES)
    errors = [float(np.square(first[kept:] @ matrix - second[kept:]).sum()) for matrix in trial]
    (matrix,) = _ridges(first, second, (RIDGES[int(np.argmin(errors))],))
    return SpaceMap(origin, matrix, target, float("nan"))


def explained_variance(B: FloatArray, predicted: FloatArray) -> float:
    """Return ``1 - sum |b - b'|^2 / sum |b - mean|^2`` over rows ``(n, e)``: 1 for equal, 0 as good as the mean."""
    spread = float(np.square(B - B.mean(0)).sum())
    if spread == 0:
        raise InputError("B", got="equal rows", expected="rows that differ")
    return 1 - float(np.square(B - predicted).sum()) / spread


def _ridges(A: FloatArray, B: FloatArray, penalties: tuple[float, ...]) -> list[FloatArray]:
    """Return one solution per penalty from a single decomposition."""
    values, vectors = np.linalg.eigh(A.T @ A)
    values = np.maximum(values, 0)
    weights = vectors.T @ (A.T @ B)
    unit = float(values.mean())
    return [vectors @ (weights / (values + penalty * unit)[:, None]) for penalty in penalties]


def _centred_pair(
    A: ArrayLike, B: ArrayLike, *, min_rows: int = 2
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    first = check_matrix(A, "A", min_rows=min_rows, dtype=np.float64)
    second = check_matrix(B, "B", dtype=np.float64)
    if len(first) != len(second):
        raise InputError("B", got=f"{len(second)} rows", expected=f"{len(first)}, the same items as in A")
    means = first.mean(0), second.mean(0)
    first, second = first - means[0], second - means[1]
    for name, rows in (("A", first), ("B", second)):
        if not np.abs(rows).max() > 0:
            raise InputError(name, got="equal rows", expected="rows that differ")
    return first, second, *means
