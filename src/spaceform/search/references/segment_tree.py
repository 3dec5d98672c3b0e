"""A range index: the rows in the order of one attribute, a segment tree over them, a graph in every segment."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spaceform.checks import check_integer
from spaceform.compiled import compiled
from spaceform.errors import InputError
from spaceform.search.attributes import Kind, Schema, readable
from spaceform.search.filters import Between, Comparison, Constant
from spaceform.search.graphs.beams import gap, new_beam, offer, take
from spaceform.search.graphs.pruning import prune, sort
from spaceform.search.graphs.vamana import Data
from spaceform.search.references.contract import AbstractReference, Asked
from spaceform.types import IntArray, RandomState

_ORDERED = (Kind.NUMBER, Kind.DATE, Kind.TIMESTAMP, Kind.TEXT)


class Tree(NamedTuple):
    """Links ``(levels, n, width)``, ``degree (levels, n)``; level l has 2^l segments, each half of one above."""

    links: NDArray[np.int32]
    degree: NDArray[np.int32]


@final
class SegmentTreeRangeIndex(AbstractReference):
    """iRangeGraph's kind of index (Xu et al. 2024): the graph of any range is put together while it is walked.

    Every row has a list of links in each of the log n segments that hold it, built from the leaves up: the links in
    one half, and those that a walk through the other half finds, pruned by relative neighbourhoods. A query on a
    range of ranks takes the links of the largest segments first and keeps those that end in the range.

    Parameters: ``column`` of numbers, dates or text (None: the only one of numbers); ``links`` per segment (M),
    ``build_list``, ``search_list`` (ef; shorter ranges are scanned). Serves ``=``, ``<``, ``<=``, ``>``, ``>=``,
    ``BETWEEN`` on that column, and none at all; missing values pass nothing but that. Raises ``InputError`` for
    other conditions. O(n log n build_list links d) to build, O(search_list (links d + log n)) a query.

    >>> index = SegmentTreeRangeIndex(metric="euclidean").fit([[0.0], [1.0], [2.0]], {"a": [1, 5, 3]})
    >>> index.query([[1.4]], 2, where="a >= 3").rows
    array([[1, 2]])
    """

    def __init__(
        self, *, column: str | None = None, links: int = 16, build_list: int = 64, search_list: int = 64,
        metric: str = "cosine", random_state: RandomState = 0,
    ) -> None:  # fmt: skip
        self.column = column
        self.links = links
        self.build_list = build_list
        self.search_list = search_list
        self.metric = metric
        self.random_state = random_state

    def _build(self, generator: np.random.Generator) -> None:
        links = check_integer(self.links, "links", low=1)
        length = check_integer(self.build_list, "build_list", low=1)
        table = self._attributes.table
        self._name = _numeric(Schema.of(table), self.column)
        values = readable(table, self._name)
        self._order = pc.sort_indices(pa.table({"v": values}), sort_keys=[("v", "ascending")]).to_numpy().astype(int)
        self._present = len(values) - values.null_count
        self._sorted = np.ascontiguousarray(self._rows[self._order])
        n = len(self._order)
        levels = 1
        while (n >> levels) > 2 * links:
            levels += 1
        self._tree = Tree(np.full((levels, n, links), -1, np.int32), np.zeros((levels, n), np.int32))
        _grow(tuple(Data.of(self._sorted)), tuple(self._tree), new_beam(length))

    def _find(self, queries: NDArray[np.float32], k: int, asked: Asked) -> tuple[NDArray[np.integer[Any]], IntArray]:
        low, high = self._range(asked)
        if high - low <= max(k, self.search_list):
            return self._scan(queries, k, self._order[low:high])
        found, scored = np.full((len(queries), k), -1, np.int32), np.zeros(len(queries), np.int64)
        beam = new_beam(max(k, self.search_list))
        _search(self._sorted, tuple(self._tree), queries, (low, high), beam, found, scored)
        return np.where(found >= 0, self._order[np.maximum(found, 0)], -1), scored

    def _range(self, asked: Asked) -> tuple[int, int]:
        """Return the ranks ``[low, high)`` of the rows that pass; O(log n) but for the look at the values."""
        condition = asked.tree()
        if isinstance(condition, Constant):
            return 0, len(self._order) if condition.value else 0
        ordered = isinstance(condition, Between) or (isinstance(condition, Comparison) and condition.operator != "!=")
        if not ordered or condition.column != self._name:  # type: ignore[attr-defined]
            raise InputError(
                "where", got=str(condition), expected=f"a range of {self._name}",
                remedy="the method was built for it alone",
            )  # fmt: skip
        inside = np.flatnonzero(asked.mask()[self._order[: self._present]])
        return (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, 0)


def _numeric(schema: Schema, column: str | None) -> str:
    if column is None:
        numeric = [name for name, kind in schema.kinds.items() if kind is Kind.NUMBER and name != "id"]
        if len(numeric) != 1:
            raise InputError("column", got=f"None with columns {numeric}", expected="the name of one of them")
        return numeric[0]
    if schema.kinds.get(column) not in _ORDERED:
        raise InputError("column", got=repr(column), expected="a column of numbers, dates or text")
    return column


@compiled(error_model="numpy")
def _bounds(n, level, row):  # type: ignore[no-untyped-def]
    """Return the segment of a level that holds a row; segments of a level are halves of those above."""
    low, high = 0, n
    for _ in range(level):
        middle = (low + high) // 2
        if row < middle:
            high = middle
        else:
            low = middle
    return low, high


@compiled(error_model="numpy")
def _grow(data, tree, beam):  # type: ignore[no-untyped-def]
    """Fill the lists from the leaves, where all rows of a segment are candidates, up to the whole."""
    rows = data[0]
    links, degree = tree
    levels, n, most = links.shape
    room = len(beam[0]) + 8 * most
    nodes, gaps, out = np.empty(room, np.int32), np.empty(room), np.empty(most, np.int32)
    visited, stamp = np.zeros(n, np.int32), 0
    for level in range(levels - 1, -1, -1):
        for row in range(n):
            low, high = _bounds(n, level, row)
            count = 0
            if level == levels - 1:
                for other in range(low, high):
                    if other != row:
                        nodes[count], gaps[count] = other, gap(rows, other, rows, row)
                        count += 1
            else:
                for at in range(degree[level + 1, row]):
                    other = links[level + 1, row, at]
                    nodes[count], gaps[count] = other, gap(rows, other, rows, row)
                    count += 1
                middle = (low + high) // 2
                start = (middle + high) // 2 if row < middle else (low + middle) // 2
                stamp += 1
                beam[3][0], beam[3][1] = 0, 0
                visited[start] = stamp
                offer(beam, start, gap(rows, start, rows, row))
                spot = take(beam)
                while spot >= 0:
                    met = beam[1][spot]
                    for at in range(degree[level + 1, met]):
                        other = links[level + 1, met, at]
                        if visited[other] != stamp:
                            visited[other] = stamp
                            offer(beam, other, gap(rows, other, rows, row))
                    spot = take(beam)
                for at in range(beam[3][0]):
                    nodes[count], gaps[count] = beam[1][at], beam[0][at]
                    count += 1
            sort(nodes, gaps, count)
            degree[level, row] = prune(data, row, (nodes, gaps, count), 1.0, most, out)
            for at in range(degree[level, row]):
                links[level, row, at] = out[at]


@compiled(error_model="numpy")
def _search(rows, tree, queries, limits, beam, found, scored):  # type: ignore[no-untyped-def]
    links, degree = tree
    levels, n, most = links.shape
    first, last = limits
    visited = np.zeros(n, np.int32)
    for at in range(len(queries)):
        beam[3][0], beam[3][1] = 0, 0
        for part in range(1, 6, 2):
            start = first + (last - first) * part // 6
            if visited[start] != at + 1:
                visited[start] = at + 1
                scored[at] += 1
                offer(beam, start, gap(rows, start, queries, at))
        spot = take(beam)
        while spot >= 0:
            node, taken = beam[1][spot], 0
            low, high = 0, n
            for level in range(levels):
                for link in range(degree[level, node]):
                    other = links[level, node, link]
                    if first <= other < last:
                        taken += 1
                        if visited[other] != at + 1:
                            visited[other] = at + 1
                            scored[at] += 1
                            offer(beam, other, gap(rows, other, queries, at))
                if taken >= most or (first <= low and high <= last):
                    break
                middle = (low + high) // 2
                if node < middle:
                    high = middle
                else:
                    low = middle
            spot = take(beam)
        for place in range(min(found.shape[1], beam[3][0])):
            found[at, place] = beam[1][place]
