"""Documents on a curve in 2 k dimensions: every set of k of them is the answer to some query, whatever their number.

Documents are ``v_i = (cos t_i, sin t_i, ..., cos k t_i, sin k t_i) / sqrt(k)``, ``t_i = 2 pi i / n``, the vertices of
a cyclic polytope (Gale 1963), whose k-subsets are all faces. For a set S the trigonometric polynomial
``p(t) = prod_{s in S} (1 - cos(t - t_s))`` is 0 on S and positive elsewhere; the query is minus its coefficients.
The gap falls as ``n^(-2k)``: what the paper's optimiser lacks in few dimensions is margin, not rank.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from spaceform.errors import InputError
from spaceform.ops.capacity.subsets import check_relevance, check_set_size
from spaceform.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class MomentCurve:
    """``documents (n, 2k)`` of unit length, and the queries for sets of up to k of them."""

    n: int
    k: int
    documents: FloatArray = field(repr=False)

    def queries(self, sets: ArrayLike) -> FloatArray:
        """Return unit queries ``(m, 2k)``, float64, for sets ``(m, j)`` of different documents, ``1 <= j <= k``.

        ``<query, document>`` is largest exactly on the set, up to rounding: in float64 for pairs of n = 300 documents
        and beyond, in float32 for 100. Raises ``InputError`` for other sets. O(m k^2).
        """
        rows = np.asarray(sets)
        if rows.ndim != 2 or rows.dtype.kind not in "iu" or not 1 <= rows.shape[1] <= self.k or not len(rows):
            got = f"{rows.dtype} of shape {rows.shape}"
            raise InputError("sets", got=got, expected=f"rows of 1 to {self.k} document numbers")
        ordered = np.sort(rows, axis=1)
        if ordered.min() < 0 or ordered.max() >= self.n or (np.diff(ordered, axis=1) == 0).any():
            raise InputError("sets", got="unknown or repeated documents", expected=f"numbers from 0 to {self.n - 1}")
        return self._coefficients(ordered)

    def queries_of(self, relevance: ArrayLike) -> FloatArray:
        """Return unit queries ``(m, 2k)`` for a table ``(m, n)``, with sets of different sizes up to k."""
        table = check_relevance(relevance)
        if table.shape[1] != self.n or table.sum(1).max() > self.k:
            got = f"{table.shape[1]} documents, up to {table.sum(1).max()} relevant"
            raise InputError("relevance", got=got, expected=f"{self.n} documents, up to {self.k} relevant")
        result = np.empty((len(table), 2 * self.k))
        for rows, sets in _by_size(table):
            result[rows] = self._coefficients(sets)
        return result

    def _coefficients(self, sets: IntArray) -> FloatArray:
        """Convolve the factors ``1 - (e^{i(t-s)} + e^{-i(t-s)}) / 2`` of each row; the middle column is frequency 0."""
        turns = np.exp(2j * np.pi * sets / self.n)
        found = np.zeros((len(sets), 2 * self.k + 1), dtype=complex)
        found[:, self.k] = 1
        for turn in turns.T[:, :, None]:
            grown = found.copy()
            grown[:, 1:] -= found[:, :-1] / (2 * turn)
            grown[:, :-1] -= found[:, 1:] * (turn / 2)
            found = grown
        upper = found[:, self.k + 1 :]
        flat = np.stack([-upper.real, upper.imag], axis=2).reshape(len(sets), -1)
        return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True))


def moment_curve_embedding(n: int, k: int, *, dtype: type = np.float64) -> MomentCurve:
    """Return n unit documents in 2 k dimensions of which every set of up to k can be returned.

    ``dtype`` is that of the documents. Raises ``InputError`` for k outside ``1..n-1``. O(n k).
    """
    n, k = check_set_size(n, k)
    # cos(j t_i) from (i j mod n): angles stay small, so that no digits are lost at large n and k
    places = np.outer(np.arange(n), np.arange(1, k + 1)) % n
    angles = 2 * np.pi * places / n
    both = np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(n, 2 * k) / np.sqrt(k)
    return MomentCurve(n, k, both.astype(dtype))


def _by_size(table: BoolArray) -> list[tuple[IntArray, IntArray]]:
    counts = table.sum(1)
    found = []
    for size in np.unique(counts).tolist():
        rows = np.flatnonzero(counts == size)
        found.append((rows, np.nonzero(table[rows])[1].reshape(len(rows), size)))
    return found
