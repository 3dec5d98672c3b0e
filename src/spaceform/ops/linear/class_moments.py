"""Mean and covariance of every class from a stream of rows, and its principal directions."""

from __future__ import annotations

from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_matrix, check_partial_labels
from spaceform.errors import InputError
from spaceform.types import FloatArray, IntArray


@final
class ClassMoments:
    """Counts ``(C,)``, means ``(C, D)`` and scatter ``(C, D, D)`` of the classes 0..C-1, in float64, block by block.

    Blocks are joined by the pairwise update of Chan, Golub and LeVeque (1979), which does not cancel for classes that
    lie far from 0, as sums of squares would. The rows themselves are never kept: O(C D^2) memory, O(D^2) a row.

    >>> moments = ClassMoments(n_classes=2, width=1).update([[1.0], [5.0]], [0, 1]).update([[3.0]], [0])
    >>> moments.counts, moments.means[:, 0], moments.covariance(0)
    (array([2, 1]), array([2., 5.]), array([[1.]]))
    """

    def __init__(self, *, n_classes: int, width: int) -> None:
        check_integer(n_classes, "n_classes", low=1)
        check_integer(width, "width", low=1)
        self.counts: IntArray = np.zeros(n_classes, dtype=np.int64)
        self.means: FloatArray = np.zeros((n_classes, width))
        self.scatter: FloatArray = np.zeros((n_classes, width, width))

    def update(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Take in rows ``X (n, D)`` with labels ``y (n,)`` in -1..C-1 (-1: passed over) and return self."""
        rows = check_matrix(X, width=self.means.shape[1], dtype=np.float64)
        codes = check_partial_labels(y, len(rows))
        if codes.max() >= len(self.counts):
            raise InputError("y", got=f"label {codes.max()}", expected=f"labels below {len(self.counts)}")
        for code in np.unique(codes[codes >= 0]).tolist():
            own = rows[codes == code]
            mean = own.mean(0)
            self._join(code, len(own), mean, (own - mean).T @ (own - mean))
        return self

    def merge(self, other: ClassMoments) -> Self:
        """Take in what another object saw, as of another process, and return self."""
        if self.scatter.shape != other.scatter.shape:
            raise InputError("other", got=f"shape {other.scatter.shape}", expected=f"{self.scatter.shape}")
        for code in np.flatnonzero(other.counts).tolist():
            self._join(code, int(other.counts[code]), other.means[code], other.scatter[code])
        return self

    def covariance(self, code: int) -> FloatArray:
        """Return the covariance ``(D, D)`` of a class, divided by its number of rows; ``InputError`` without any."""
        check_integer(code, "code", low=0, high=len(self.counts) - 1)
        if self.counts[code] == 0:
            raise InputError("code", got=f"class {code} without rows", expected="a class with rows")
        result: FloatArray = self.scatter[code] / self.counts[code]
        return result

    def _join(self, code: int, count: int, mean: FloatArray, scatter: FloatArray) -> None:
        before, total = self.counts[code], self.counts[code] + count
        gap = mean - self.means[code]
        self.scatter[code] += scatter + np.outer(gap, gap) * (before * count / total)
        self.means[code] += gap * (count / total)
        self.counts[code] = total


def principal_directions(covariance: ArrayLike, k: int, P: ArrayLike | None = None) -> FloatArray:
    """Return the ``k`` leading eigenvectors ``(D, k)`` of ``P covariance P``, orthonormal, largest variance first.

    ``P (D, D)``: an orthogonal projector; directions of no variance are then still drawn from its range. The sign of
    each is fixed: its largest coordinate is positive. Raises ``InputError`` for k above the rank of ``P``. O(D^3).
    """
    matrix = check_matrix(covariance, "covariance", dtype=np.float64)
    projector = np.eye(len(matrix)) if P is None else check_matrix(P, "P", width=len(matrix), dtype=np.float64)
    rank = round(float(np.trace(projector)))
    check_integer(k, "k", low=1, high=rank)
    inside = projector @ matrix @ projector
    size = max(float(np.trace(inside)), np.finfo(np.float64).tiny)
    # what P leaves out gets a variance below 0, so that it comes last, even after directions without variance
    values, vectors = np.linalg.eigh((inside + inside.T) / 2 - size * (np.eye(len(matrix)) - projector))
    leading = vectors[:, np.argsort(values)[::-1][:k]]
    leading = leading * np.sign(leading[np.abs(leading).argmax(0), np.arange(k)])
    return np.ascontiguousarray(leading)


def class_pca(X: ArrayLike, y: ArrayLike, k: int, P: ArrayLike | None = None) -> FloatArray:
    """Return the ``k`` principal directions ``(C, D, k)`` of the rows of each class 0..C-1, inside the range of ``P``.

    ``X (n, D)``, ``y (n,)`` (-1: passed over). Raises ``InputError`` for a class with fewer than k + 1 rows, which
    have no k directions. O(n D^2 + C D^3).
    """
    rows = check_matrix(X, dtype=np.float64)
    codes = check_partial_labels(y, len(rows))
    moments = ClassMoments(n_classes=int(codes.max()) + 1, width=rows.shape[1]).update(rows, codes)
    few = np.flatnonzero(moments.counts < k + 1)
    if len(few):
        got = f"{moments.counts[few[0]]} row(s) of class {few[0]}"
        raise InputError("y", got=got, expected=f"at least {k + 1} rows for {k} directions")
    return np.stack([principal_directions(moments.covariance(c), k, P) for c in range(len(moments.counts))])
