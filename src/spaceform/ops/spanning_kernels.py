"""Compiled inner loops of :mod:`spaceform.ops.spanning`. All compare edges by ``(length, lower row, higher row)``.

Under that total order a minimum spanning tree is unique, so every route to it gives the same edges, whatever the
block sizes, the thread count or the rounding of the matrix products that only preselect candidates.
"""

from __future__ import annotations

import numpy as np

from spaceform.compiled import compiled
from spaceform.types import BoolArray, FloatArray, IntArray

CHUNK = 64
"""Entries of a product tile tested at once: one short vector loop decides whether any deserves a closer look."""


@compiled(inline="never", fastmath={"reassoc", "contract"})
def squared_gap(X: FloatArray, i: int, j: int) -> float:
    """Squared distance of rows ``i`` and ``j`` by direct differences in float64: exactly 0 for equal rows.

    Never inlined: every caller must see the same sum to the last bit, or ties would be broken differently.
    """
    total = 0.0
    for c in range(X.shape[1]):
        gap = np.float64(X[i, c]) - np.float64(X[j, c])
        total += gap * gap
    return total


@compiled()
def precedes(w: float, i: int, j: int, other_w: float, other_lo: int, other_hi: int) -> bool:
    """Whether the edge ``i-j`` of weight ``w`` comes before the other edge, whose ends are sorted."""
    if w != other_w:
        return w < other_w
    lo, hi = min(i, j), max(i, j)
    return lo < other_lo or (lo == other_lo and hi < other_hi)


@compiled()
def prim(values: FloatArray, *, dense: bool) -> tuple[IntArray, IntArray, FloatArray]:
    """Prim's algorithm on a symmetric matrix of weights (``dense``) or on rows, whose squared distances it takes.

    In a dense matrix an entry 0 is an edge of weight 0.
    """
    n = values.shape[0]
    lo, hi, best = np.full(n, n), np.full(n, n), np.full(n, np.inf)
    heads, tails, weights = np.empty(n - 1, np.int64), np.empty(n - 1, np.int64), np.empty(n - 1)
    outside = np.ones(n, np.bool_)
    current = 0
    for step in range(n - 1):
        outside[current] = False
        chosen = -1
        for j in range(n):
            if outside[j]:
                w = values[current, j] if dense else squared_gap(values, current, j)
                if precedes(w, current, j, best[j], lo[j], hi[j]):
                    best[j], lo[j], hi[j] = w, min(current, j), max(current, j)
                if chosen < 0 or precedes(best[j], lo[j], hi[j], best[chosen], lo[chosen], hi[chosen]):
                    chosen = j
        heads[step], tails[step], weights[step] = lo[chosen], hi[chosen], best[chosen]
        current = chosen
    return heads, tails, weights


@compiled()
def _insert(keys: FloatArray, neighbors: IntArray, row: int, key: float, column: int) -> None:
    """Put ``column`` into the ascending list of ``row``, dropping the last entry."""
    place = keys.shape[1] - 1
    while place > 0 and keys[row, place - 1] > key:
        keys[row, place], neighbors[row, place] = keys[row, place - 1], neighbors[row, place - 1]
        place -= 1
    keys[row, place], neighbors[row, place] = key, column


@compiled(fastmath={"contract"})
def offer_tile(
    products: FloatArray, rows: int, columns: int, squares: FloatArray, keys: FloatArray, neighbors: IntArray
) -> None:
    """Offer the pairs of one product tile to the candidate lists of both their rows.

    ``products[a, b]`` is the inner product of rows ``rows + a`` and ``columns + b``; only ``columns + b >
    rows + a`` counts. The key of a pair is ``squares[i] + squares[j] - 2 product``.
    """
    height, width = products.shape
    last = keys.shape[1] - 1
    limits = np.empty(width, products.dtype)
    for b in range(width):
        limits[b] = keys[columns + b, last]
    for a in range(height):
        i = rows + a
        for start in range(max(0, i + 1 - columns), width, CHUNK):
            stop = min(width, start + CHUNK)
            hits = 0
            for b in range(start, stop):
                key = squares[i] + squares[columns + b] - (products[a, b] + products[a, b])
                hits += (key < keys[i, last]) | (key < limits[b])
            if hits == 0:
                continue
            for b in range(start, stop):
                key = squares[i] + squares[columns + b] - (products[a, b] + products[a, b])
                if key < keys[i, last]:
                    _insert(keys, neighbors, i, key, columns + b)
                if key < limits[b]:
                    _insert(keys, neighbors, columns + b, key, i)
                    limits[b] = keys[columns + b, last]


@compiled()
def exact_lists(X: FloatArray, neighbors: IntArray) -> FloatArray:
    """Sort each candidate list in place by exact squared distance, then row; return the distances."""
    n, k = neighbors.shape
    exact = np.full((n, k), np.inf)
    for i in range(n):
        for t in range(k):
            j = neighbors[i, t]
            w = squared_gap(X, i, j)
            place = t
            while place > 0 and (exact[i, place - 1] > w or (exact[i, place - 1] == w and neighbors[i, place - 1] > j)):
                exact[i, place], neighbors[i, place] = exact[i, place - 1], neighbors[i, place - 1]
                place -= 1
            exact[i, place], neighbors[i, place] = w, j
    return exact


@compiled()
def find(parents: IntArray, i: int) -> int:
    """Root of ``i``, halving the path on the way."""
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


@compiled()
def contract(
    neighbors: IntArray, exact: FloatArray, bounds: FloatArray
) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    """Run Borůvka's rounds as far as the lists can prove them; return the edges and the component of each row.

    Row ``i`` is at squared distance ``>= bounds[i]`` from every row outside its list. So the shortest known edge
    out of a component is the shortest of all when it is shorter than the bounds of all its members.
    """
    n, k = neighbors.shape
    parents, edges = np.arange(n), 0
    heads, tails, weights = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
    merged = True
    while merged:
        merged = False
        floor, best = np.full(n, np.inf), np.full(n, np.inf)
        lo, hi = np.full(n, n), np.full(n, n)
        for i in range(n):
            root = find(parents, i)
            floor[root] = min(floor[root], bounds[i])
            for t in range(k):
                j = neighbors[i, t]
                if find(parents, j) != root:
                    if precedes(exact[i, t], i, j, best[root], lo[root], hi[root]):
                        best[root], lo[root], hi[root] = exact[i, t], min(i, j), max(i, j)
                    break
        for root in range(n):
            if best[root] < floor[root]:
                one, other = find(parents, lo[root]), find(parents, hi[root])
                if one != other:
                    parents[max(one, other)] = min(one, other)
                    heads[edges], tails[edges], weights[edges] = lo[root], hi[root], best[root]
                    edges += 1
                    merged = True
    for i in range(n):
        parents[i] = find(parents, i)
    return heads[:edges], tails[:edges], weights[:edges], parents


@compiled(fastmath={"contract"})
def relax_tile(
    products: FloatArray,
    inside: IntArray,
    outside: IntArray,
    inside_squares: FloatArray,
    outside_squares: FloatArray,
    owners: IntArray,
    X: FloatArray,
    best: FloatArray,
    ends: IntArray,
) -> None:
    """Shorten the best known edges from the tree to the components of the rows ``outside``.

    ``products`` are the inner products of rows ``inside`` (of the tree) and ``outside``; ``owners[b]`` is the
    component of ``outside[b]``; ``best[c]`` and ``ends[c]`` hold the squared length and the sorted ends of its
    shortest edge, ``best`` being ``-inf`` for components already in the tree. Keys are lower bounds of the
    squared distance, so a key that is no better than the best needs no exact distance.
    """
    height, width = products.shape
    limits = np.empty(width, products.dtype)
    for b in range(width):
        limits[b] = best[owners[b]]
    for start in range(0, width, CHUNK):
        stop = min(width, start + CHUNK)
        for a in range(height):
            hits = 0
            for b in range(start, stop):
                key = inside_squares[a] + outside_squares[b] - (products[a, b] + products[a, b])
                hits += key <= limits[b]
            if hits == 0:
                continue
            for b in range(start, stop):
                c = owners[b]
                key = inside_squares[a] + outside_squares[b] - (products[a, b] + products[a, b])
                if key <= best[c]:
                    i, j = inside[a], outside[b]
                    w = squared_gap(X, i, j)
                    if precedes(w, i, j, best[c], ends[c, 0], ends[c, 1]):
                        best[c], ends[c, 0], ends[c, 1] = w, min(i, j), max(i, j)
            for b in range(start, stop):
                limits[b] = best[owners[b]]


@compiled()
def nearest_component(best: FloatArray, ends: IntArray, joined: BoolArray) -> int:
    """The component outside the tree whose best edge comes first."""
    chosen = -1
    for c in range(best.shape[0]):
        if not joined[c] and (
            chosen < 0 or precedes(best[c], ends[c, 0], ends[c, 1], best[chosen], ends[chosen, 0], ends[chosen, 1])
        ):
            chosen = c
    return chosen
