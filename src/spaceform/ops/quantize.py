"""One byte per coordinate: 128-dimensional face embeddings in 128 bytes (FaceNet, section 5.5).

The paper gives no scheme. Here ``q = clip(round(127 x / scale), -127, 127)`` with one scale for all coordinates, so
that distances of codes are exact integers. For unit vectors and scale 1, ``|x - 127^-1 q| <= sqrt(d) / 254`` (0.045 at
d = 128), and a distance between two vectors moves by at most twice as much.
"""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from spaceform.checks import check_matrix, check_real, check_rows
from spaceform.errors import InputError
from spaceform.types import FloatArray, IntArray

LEVELS = 127

EXACT_FLOAT32 = 2**24 // LEVELS**2
"""Widest codes whose inner products float32 holds exactly: sums of integers below 2^24."""


def to_bytes(X: ArrayLike, *, scale: float = 1.0) -> NDArray[np.int8]:
    """Return int8 codes ``(n, d)`` of rows ``X (n, d)``; coordinates beyond ``scale`` are clipped. O(n d)."""
    rows = check_matrix(X)
    check_real(scale, "scale", low=0, open_ends=True)
    codes = np.rint(rows * (LEVELS / scale))
    return np.clip(codes, -LEVELS, LEVELS).astype(np.int8)


def from_bytes(codes: ArrayLike, *, scale: float = 1.0) -> FloatArray:
    """Return float32 rows ``(n, d)`` of int8 codes. O(n d)."""
    check_real(scale, "scale", low=0, open_ends=True)
    return _check_codes(codes, "codes").astype(np.float32) * np.float32(scale / LEVELS)


def code_distances(codes: ArrayLike, others: ArrayLike) -> IntArray:
    """Return the squared distances ``(n, m)`` between int8 codes ``(n, d)`` and ``(m, d)`` as exact integers.

    Times ``(scale / 127)^2`` they are squared distances of the decoded rows. One matrix product in float32, which is
    exact up to d = 1,040, else in float64: O(n m d).
    """
    a, b = _check_codes(codes, "codes"), _check_codes(others, "others")
    if a.shape[1] != b.shape[1]:
        raise InputError("others", got=f"{b.shape[1]} columns", expected=f"{a.shape[1]} columns")
    exact = "float32" if a.shape[1] <= EXACT_FLOAT32 else "float64"
    products: FloatArray = a.astype(exact) @ b.astype(exact).T
    squares_a = np.einsum("ij,ij->i", a, a, dtype=np.int64)
    squares_b = np.einsum("ij,ij->i", b, b, dtype=np.int64)
    return squares_a[:, None] + squares_b[None, :] - 2 * products.astype(np.int64)


@final
class ByteEmbedding(TransformerMixin, BaseEstimator):
    """Embeddings as one byte per coordinate: ``q = clip(round(127 x / scale_), -127, 127)``.

    Parameters: ``scale``: the coordinate that becomes 127; None takes the largest absolute coordinate of the rows given
    to ``fit`` (finer steps, but larger coordinates of later rows are clipped); 1.0 fits every unit vector.

    Attributes: ``scale_`` float. Raises ``InputError`` for NaN, a ``scale`` that is not positive, or rows of zeros only
    with ``scale=None``. O(n d).

    >>> rows = np.array([[0.6, 0.8], [1.0, 0.0]])
    >>> ByteEmbedding(scale=1.0).fit(rows).transform(rows)
    array([[ 76, 102],
           [127,   0]], dtype=int8)
    """

    def __init__(self, *, scale: float | None = 1.0) -> None:
        self.scale = scale

    def fit(self, X: ArrayLike, y: object = None) -> ByteEmbedding:
        """Set ``scale_`` from rows ``X (n, d)``; ``y`` is ignored."""
        rows = check_rows(self, X, fitting=True)
        if self.scale is not None:
            self.scale_ = check_real(self.scale, "scale", low=0, open_ends=True)
            return self
        self.scale_ = float(np.abs(rows).max())
        if self.scale_ == 0:
            raise InputError("X", got="zeros only", expected="rows from which a scale can be taken")
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.int8]:
        """Return int8 codes ``(n, d)``."""
        return to_bytes(check_rows(self, X, fitting=False), scale=self.scale_)

    def __sklearn_tags__(self) -> Tags:
        """Say that codes are bytes whatever the rows are."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def inverse_transform(self, codes: ArrayLike) -> FloatArray:
        """Return float32 rows ``(n, d)`` of int8 codes."""
        return from_bytes(codes, scale=self.scale_)

    def squared_distance(self, codes: ArrayLike, others: ArrayLike) -> FloatArray:
        """Return squared distances ``(n, m)`` float64 of the decoded rows, computed in integers."""
        return code_distances(codes, others) * (self.scale_ / LEVELS) ** 2


def _check_codes(codes: ArrayLike, name: str) -> NDArray[np.int8]:
    array = np.asarray(codes)
    if array.dtype != np.int8 or array.ndim != 2:
        raise InputError(name, got=f"{array.dtype} of shape {array.shape}", expected="int8 codes of shape (n, d)")
    return array
