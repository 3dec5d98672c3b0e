"""Label metrics given as numbers: a distance matrix, or one vector per label."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_choice, check_matrix
from spaceform.errors import InputError
from spaceform.geometry.finite import LabelMetric, describe_components
from spaceform.geometry.flat import squared_distances
from spaceform.geometry.protocol import Geometry
from spaceform.geometry.variance import blocks
from spaceform.types import FloatArray, IntArray

VECTOR_METRICS = ("euclidean", "sqeuclidean", "cosine")
CHECK_BYTES = 64 * 2**20


@final
class MatrixMetric(LabelMetric):
    """Distances between labels as a matrix, kept as it is (a memory map stays on disk, int8 hops stay int8).

    Parameters: ``D (N, N)`` real, symmetric to ``tolerance`` times its largest entry, zero diagonal, no negative,
    NaN or infinite entry; ``labels`` names; ``check_triangle`` also asks for the triangle inequality, O(N^3).

    Raises ``InputError`` for anything else. Checking costs O(N^2) time.

    >>> MatrixMetric([[0, 2, 5], [2, 0, 3], [5, 3, 0]]).mean([0, 2])
    1
    """

    def __init__(
        self, D: ArrayLike, *, labels: ArrayLike | None = None, check_triangle: bool = False, tolerance: float = 1e-6
    ) -> None:
        matrix = np.asanyarray(D)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype.kind not in "fiub":
            raise InputError(
                "D", got=f"{matrix.dtype} of shape {matrix.shape}", expected="a square matrix of real numbers"
            )
        super().__init__(len(matrix), labels)
        _check_entries(matrix, self.labels, tolerance)
        self.D = matrix
        if check_triangle and (corner := triangle_violation(matrix)) is not None:
            a, via, b = (str(self.labels[i]) for i in corner)
            raise InputError(
                "D", got=f"d({a}, {b}) > d({a}, {via}) + d({via}, {b})", expected="the triangle inequality"
            )

    def distance(self, a: ArrayLike, b: ArrayLike) -> FloatArray:
        """Return distances between the ids ``a`` and ``b``, which broadcast."""
        found = self.D[self.checked(a, "a"), self.checked(b, "b")]
        return np.asarray(found, dtype=np.float64)

    def distances(self, rows: ArrayLike, columns: IntArray | None = None) -> FloatArray:
        """Return float64 distances ``(K, M)``. O(K M)."""
        chosen = self.D[self.checked(rows, "rows")]
        return np.asarray(chosen if columns is None else chosen[:, columns], dtype=np.float64)


@final
class EmbeddingMetric(LabelMetric):
    """Distances between label vectors (sentence embeddings of names, class prototypes, a model's own text side).

    Parameters: ``points (N, d)`` finite; ``metric`` is ``"euclidean"``, ``"sqeuclidean"`` or ``"cosine"``
    (1 - cosine), the last two of which break the triangle inequality, or a geometry object whose points these are;
    ``labels`` names. Loki's self-derived metric of zero-shot models is ``"sqeuclidean"`` on unit vectors.

    Raises ``InputError`` for vectors with NaN, zero rows under ``"cosine"``, or points outside the geometry.
    A block of K x M distances costs O(K M d).
    """

    def __init__(
        self,
        points: ArrayLike,
        *,
        metric: str | Geometry = "euclidean",
        labels: ArrayLike | None = None,
    ) -> None:
        self.points: FloatArray = check_matrix(points, "points", dtype=np.float64)
        super().__init__(len(self.points), labels)
        self.metric = metric
        if isinstance(metric, str):
            check_choice(metric, "metric", VECTOR_METRICS)
            if metric == "cosine":
                self.points = _unit_rows(self.points)
        elif (reason := metric.check(self.points)) is not None:
            raise InputError("points", got=reason, expected=f"points of {metric!r}")

    def distance(self, a: ArrayLike, b: ArrayLike) -> FloatArray:
        """Return distances between the ids ``a`` and ``b``, which broadcast."""
        left, right = self.points[self.checked(a, "a")], self.points[self.checked(b, "b")]
        if not isinstance(self.metric, str):
            return np.asarray(self.metric.distance(left, right))
        squares = np.square(left - right).sum(-1)
        return self._from_squares(squares)

    def distances(self, rows: ArrayLike, columns: IntArray | None = None) -> FloatArray:
        """Return float64 distances ``(K, M)``. O(K M d)."""
        ids = self.checked(rows, "rows")
        left, right = self.points[ids], self.points if columns is None else self.points[columns]
        if isinstance(self.metric, str):
            found = self._from_squares(squared_distances(left, right))
        else:
            found = self.metric.pairwise_distance(left, right)
        targets = np.arange(len(self)) if columns is None else np.asarray(columns)
        found[ids[:, None] == targets[None, :]] = 0  # the matrix product leaves rounding where a label meets itself
        return found

    def _from_squares(self, squares: FloatArray) -> FloatArray:
        if self.metric == "euclidean":
            return np.sqrt(squares)
        return squares if self.metric == "sqeuclidean" else squares / 2


def triangle_violation(D: ArrayLike) -> tuple[int, int, int] | None:
    """Return ids ``(a, via, b)`` with ``d(a, b) > d(a, via) + d(via, b)``, or None. O(N^3) time, O(N^2) memory."""
    matrix = np.asarray(D, dtype=np.float64)
    slack = 1e-9 * max(1.0, float(matrix.max(initial=0)))
    for via in range(len(matrix)):
        over = matrix > matrix[:, via, None] + matrix[None, via] + slack
        if over.any():
            a, b = np.unravel_index(int(over.argmax()), over.shape)
            return int(a), via, int(b)
    return None


def _check_entries(D: np.ndarray, labels: np.ndarray, tolerance: float) -> None:
    largest = float(D.max())
    diagonal = np.diagonal(D)
    if np.isposinf(largest):
        _refuse_infinite(D, labels)
    for rows in blocks(len(D), len(D), CHECK_BYTES):
        here, there = np.asarray(D[rows], dtype=np.float64), np.asarray(D[:, rows].T, dtype=np.float64)
        for wrong, problem in (
            (np.isnan(here), "NaN"),
            (here < 0, "a negative distance"),
            (np.abs(here - there) > tolerance * max(largest, 1e-300), "an asymmetric pair"),
        ):
            if wrong.any():
                i, j = np.unravel_index(int(wrong.argmax()), wrong.shape)
                pair = f"{labels[i + rows.start]!s}, {labels[j]!s}"
                raise InputError("D", got=f"{problem} at ({pair})", expected="a symmetric matrix of distances >= 0")
    if (diagonal != 0).any():
        label = labels[int(np.argmax(diagonal != 0))]
        raise InputError("D", got=f"distance {diagonal[diagonal != 0][0]} of {label!s} to itself", expected="0")


def _refuse_infinite(D: np.ndarray, labels: np.ndarray) -> None:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    component = connected_components(csr_array(np.isfinite(D)), directed=False)[1]
    raise InputError(
        "D",
        got=f"infinite distances, {describe_components(component.astype(np.int64), labels)}",
        expected="finite distances",
        remedy="predict within one component, or join them by a finite distance",
    )


def _unit_rows(points: FloatArray) -> FloatArray:
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    if (norms < 1e-12).any():
        raise InputError("points", got=f"a zero vector (row {int(norms.argmin())})", expected="rows with a direction")
    return points / norms
