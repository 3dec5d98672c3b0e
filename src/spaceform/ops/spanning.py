"""Minimum spanning trees: of the complete Euclidean graph on rows, without ever storing it, and of a dense matrix.

Exact: lengths come from direct differences in float64, so equal rows are at distance exactly 0 and near-duplicates
keep all their digits. Edges are compared by ``(length, lower row, higher row)``, under which the tree is unique:
it depends on the rows alone, not on block sizes or thread counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_matrix
from spaceform.errors import InputError
from spaceform.ops.pairs import row_blocks
from spaceform.ops.spanning_kernels import (
    contract,
    exact_lists,
    nearest_component,
    offer_tile,
    prim,
    relax_tile,
)
from spaceform.types import FloatArray, IntArray

Edges = tuple[IntArray, IntArray, FloatArray]

FEW_ROWS = 1024
"""Up to this many rows all distances are computed directly (8 MiB): blocks would not pay."""

TILE_ROWS, TILE_COLUMNS = 512, 1024
"""A tile of inner products (2 MiB in float32) stays in the second-level cache between the product and its scan."""

LIST_LENGTH = 16
"""Candidates kept per row. Longer lists prove more edges in the first pass and leave fewer components to the second."""


def euclidean_mst(X: ArrayLike) -> Edges:
    """Return the minimum spanning tree of the rows of ``X (n, d)`` under Euclidean distance.

    Returns ``(heads, tails, lengths)``, each ``(n - 1,)``: ``heads < tails`` are row numbers, ``lengths`` float64
    ascending (ties in order of head, then tail). One row gives empty arrays.

    Two passes over the pairs in blocks of matrix products (float32, whose rounding is bounded and taken off, so
    that no edge can be missed). The first keeps each row's nearest candidates, whose exact distances prove most
    tree edges by Borůvka's rule; the second is Prim's algorithm over the components that are left. About
    ``n^2 d`` multiply-adds in all, O(n d) memory. Rows in clumps so tight that even float64 products can't tell
    their members apart are measured directly, about ten times slower.

    Raises ``InputError`` for empty input, NaN and infinities.
    """
    rows = check_matrix(X)
    exponent = int(np.frexp(np.abs(rows).max())[1])
    rows = np.ldexp(rows, -exponent)  # a power of two changes no digit and keeps squares from overflowing
    distinct, copies = _distinct_rows(rows)
    heads, tails, squares = _tree(np.ascontiguousarray(rows[distinct]))
    lo, hi = distinct[heads], distinct[tails]
    repeated = np.flatnonzero(copies != np.arange(len(rows)))
    return _sorted(
        np.concatenate([copies[repeated], np.minimum(lo, hi)]),
        np.concatenate([repeated, np.maximum(lo, hi)]),
        np.ldexp(np.sqrt(np.concatenate([np.zeros(len(repeated)), squares])), exponent),
    )


def matrix_mst(D: ArrayLike, *, name: str = "D") -> Edges:
    """Return the minimum spanning tree of the complete graph whose edge lengths are ``D (n, n)``.

    Like :func:`euclidean_mst`; entries 0 off the diagonal are edges of length 0, not absent ones (SciPy's
    ``minimum_spanning_tree`` drops them). Lengths may be any finite numbers; the diagonal is not looked at.
    Raises ``InputError`` unless ``D`` is square, finite and symmetric. O(n^2) time, a few blocks of memory.
    """
    lengths = check_matrix(D, name)
    if lengths.shape[0] != lengths.shape[1]:
        raise InputError(name, got=f"shape {lengths.shape}", expected="a square matrix of pairwise lengths")
    for block in row_blocks(*lengths.shape):
        if not np.allclose(lengths[block], lengths[:, block].T, rtol=1e-6, atol=1e-12):
            raise InputError(name, got="an asymmetric matrix", expected="[i, j] == [j, i]", remedy="average D and D.T")
    return _sorted(*prim(np.ascontiguousarray(lengths, dtype=np.float64), dense=True))


def _sorted(heads: IntArray, tails: IntArray, lengths: FloatArray) -> Edges:
    order = np.lexsort((tails, heads, lengths))
    return heads[order], tails[order], lengths[order]


def _distinct_rows(rows: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the first occurrence of every distinct row, ascending, and for each row its first occurrence."""
    packed = np.ascontiguousarray(rows + 0.0)  # -0.0 becomes 0.0, so that equal rows have equal bytes
    keys = packed.view(np.dtype((np.void, packed.itemsize * packed.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    copies = first[inverse.ravel()].astype(np.int64)
    return np.sort(first).astype(np.int64), copies


def _tree(X: FloatArray) -> Edges:
    """Minimum spanning tree of distinct rows with squared lengths, in any order."""
    n = len(X)
    if n <= FEW_ROWS:
        return prim(X, dense=False)
    centre = np.median(X[:: max(1, n // FEW_ROWS)], axis=0)  # a mean would follow a far outlier
    lists = None
    for dtype in (np.float32, np.float64):
        lists = lists or _candidates(*_filter(X, centre, dtype))
    if lists is None:
        return prim(X, dense=False)
    keys, neighbors = lists
    bounds = keys[:, -1].astype(np.float64)
    heads, tails, squares, components = contract(neighbors, exact_lists(X, neighbors), bounds)
    rest = _join(X, components, *_filter(X, centre, np.float32))
    return tuple(np.concatenate(pair) for pair in zip((heads, tails, squares), rest, strict=True))  # type: ignore[return-value]


def _filter(X: FloatArray, centre: FloatArray, dtype: type) -> tuple[FloatArray, FloatArray]:
    """Return the centred rows ``A`` in ``dtype`` and ``q`` such that ``q_i + q_j - 2 a_i.a_j <= |x_i - x_j|^2``.

    ``q`` are the squared lengths less the rounding of the product, the sums and the cast, which is below
    ``(d + 16) eps (|a_i|^2 + |a_j|^2)`` (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
    """
    limits = np.finfo(dtype)
    A: FloatArray = (X - centre).astype(dtype)
    squares = np.einsum("ij,ij->i", A, A, dtype=np.float64) * (1 - (X.shape[1] + 16) * limits.eps)
    return A, (squares - 1e3 * limits.tiny).astype(dtype)


def _candidates(A: FloatArray, q: FloatArray) -> tuple[FloatArray, IntArray] | None:
    """Return each row's smallest keys ``(n, LIST_LENGTH)`` and their rows: no other row has a smaller key.

    None when the precision is too low for these rows: most of the first block could have a distance 0 to all of
    its candidates, as in tight clusters far apart.
    """
    n = len(A)
    keys, neighbors = np.full((n, LIST_LENGTH), np.inf, A.dtype), np.full((n, LIST_LENGTH), -1)
    tile = np.empty((TILE_ROWS, TILE_COLUMNS), A.dtype)
    for top in range(0, n, TILE_ROWS):
        rows = A[top : top + TILE_ROWS]
        for left in range(top, n, TILE_COLUMNS):
            columns = A[left : left + TILE_COLUMNS]
            products = tile[: len(rows), : len(columns)]
            np.matmul(rows, columns.T, out=products)
            offer_tile(products, top, left, q, keys, neighbors)
        if top == 0 and np.median(keys[:TILE_ROWS, -1]) <= 0:
            return None
    return keys, neighbors


def _join(X: FloatArray, components: IntArray, A: FloatArray, q: FloatArray) -> Edges:
    """Second pass: Prim's algorithm over components, the largest first, by blocks of products."""
    roots, component, sizes = np.unique(components, return_inverse=True, return_counts=True)
    m = len(roots)
    members = np.argsort(component, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    best, ends, joined = np.full(m, np.inf), np.full((m, 2), len(X)), np.zeros(m, bool)
    heads, tails, lengths = np.empty(m - 1, np.int64), np.empty(m - 1, np.int64), np.empty(m - 1)
    outside, columns, live = members, A[members], len(X)
    current = int(sizes.argmax())
    for step in range(m - 1):
        joined[current], best[current] = True, -np.inf
        live -= sizes[current]
        if live < 0.75 * len(outside):
            keep = ~joined[component[outside]]
            outside, columns = outside[keep], columns[keep]
        inside = members[starts[current] : starts[current + 1]]
        for top in range(0, len(inside), TILE_ROWS):
            some = inside[top : top + TILE_ROWS]
            rows = A[some]
            width = TILE_ROWS * TILE_COLUMNS // len(some)
            for left in range(0, len(outside), width):
                block = outside[left : left + width]
                products = rows @ columns[left : left + width].T
                relax_tile(products, some, block, q[some], q[block], component[block], X, best, ends)
        current = nearest_component(best, ends, joined)
        heads[step], tails[step], lengths[step] = ends[current, 0], ends[current, 1], best[current]
    return heads, tails, lengths
