"""The walk of `walk` in Python and NumPy: the same rows compared in the same order, the same answers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.graph.links import AROUND, CLOSE, CLOSEST, DRAWN, ENOUGH, PROBED, STARTS, WIDTH, Graph
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.layout import METRICS, Base, Layout
from spaceform.search.filtered.scan.queries import Asked, encode
from spaceform.search.filtered.scan.reference import Best, score
from spaceform.types import BoolArray, FloatArray, IntArray


class _Asking(NamedTuple):
    """One query against the codes of a layout."""

    metric: int
    layout: Layout
    asked: Asked

    def gaps(self, rows: Iterable[int]) -> FloatArray:
        """Return how far rows are by their codes."""
        places = np.fromiter(rows, np.int64)
        products = self.layout.codes[places].astype(np.float64) @ self.asked.weights[0].astype(np.float64)
        scores = self.asked.scale[0] * products
        return -(scores + self.layout.level[places] if self.metric == 1 else scores)


class _Beam:
    """The nearest rows so far, at most ``room`` of them, in order, with those that are yet to be left."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.entries: list[tuple[float, int]] = []
        self.fresh: set[int] = set()

    def offer(self, gap: float, row: int) -> None:
        if len(self.entries) == self.room:
            if gap >= self.entries[-1][0]:
                return
            self.fresh.discard(self.entries.pop()[1])
        self.entries.insert(bisect_left(self.entries, (gap, row)), (gap, row))
        self.fresh.add(row)

    def take(self) -> int:
        """Return the nearest row that is fresh, which is so no longer; -1 if there is none."""
        row = next((row for _, row in self.entries if row in self.fresh), -1)
        self.fresh.discard(row)
        return row


def ask(*arguments: Any) -> None:
    """Do what `walk.ask` does, given the layout in the place of its parts."""
    metric, wanted, words, graph, base, layout, queries, first, last, outputs = arguments
    graph, base = Graph(*graph), Base(*base)
    plan, near, far, matches, most, share = wanted
    scores, ids, seen, told = outputs
    k, passes = scores.shape[1], bitmaps.unpack(words, len(base.ids))
    scores[first:last], ids[first:last], seen[first:last], told[first:last] = -np.inf, -1, 0, (-1, np.inf)
    for i in range(first, last):
        asking = _Asking(metric, layout, encode(queries[i : i + 1], layout, METRICS[metric], share=share))
        around, starts = _captains(asking, graph, passes)
        local = min(_density(passes, layout.starts, some) for some in (around, around[:CLOSEST]))
        length = near if local * len(passes) >= CLOSE * matches else far
        if length == 0:
            continue
        beam, complete = _Beam(length), False
        seen[i, 0], complete = _walk(asking, passes, graph.links, starts, beam=beam, most=most)
        if not complete or len(beam.entries) < min(k, matches):
            continue
        told[i, 0] = plan
        best = Best(k, metric)
        rows = np.array([row for _, row in beam.entries], np.int64)
        one = asking.asked
        above = one.offset[0] + one.pad[0] - np.array([gap for gap, _ in beam.entries])
        bounds = above + one.slack[0] * layout.error[rows].astype(np.float64)
        score(rows, bounds, base.ids, data=(base, layout, one), best=best, seen=seen[i : i + 1])
        found = sorted(best.heap, reverse=True)
        scores[i, : len(found)] = [closeness for closeness, _ in found]
        ids[i, : len(found)] = [-row for _, row in found]


def _captains(asking: _Asking, graph: Graph, passes: BoolArray) -> tuple[IntArray, IntArray]:
    """Return the captains nearest to a query, and where to begin, among the groups whose leaders are nearest."""
    groups = np.argsort(asking.gaps(graph.leaders), kind="stable")[:PROBED]
    members = np.concatenate([graph.captains[graph.groups[g] : graph.groups[g + 1]] for g in groups])
    ordered = members[np.lexsort((members, asking.gaps(members)))]
    return ordered[:AROUND], np.concatenate([ordered[passes[ordered]][:STARTS], ordered[:STARTS]])


def _density(passes: BoolArray, starts: IntArray, captains: IntArray) -> float:
    """Return the share of rows that match in the cells of some captains."""
    cells = np.searchsorted(starts, captains, side="right") - 1
    passing = sum(int(passes[starts[cell] : starts[cell + 1]].sum()) for cell in cells)
    return passing / max(1, int((starts[cells + 1] - starts[cells]).sum()))


def _walk(
    asking: _Asking, passes: BoolArray, links: NDArray[np.int32], starts: IntArray, *, beam: _Beam, most: int
) -> tuple[int, bool]:
    """Fill the beam; return how many rows were compared, and whether the walk came to its end."""
    visited, compared, drawn = np.zeros(len(passes), bool), 0, False
    passing = list(dict.fromkeys(row for row in starts.tolist() if passes[row]))
    failing = [row for row in starts.tolist() if not passes[row]]
    visited[passing] = True
    while True:
        for row in failing:
            if len(passing) >= ENOUGH:
                break
            if not visited[row]:
                visited[row] = True
                further = [other for other in _linked(links, row) if passes[other] and not visited[other]]
                further = further[: ENOUGH - len(passing)]
                visited[further] = True
                passing += further
        compared += len(passing)
        for gap, row in zip(asking.gaps(passing).tolist(), passing, strict=True):
            beam.offer(gap, row)
        nodes = [node for node in (beam.take() for _ in range(WIDTH)) if node >= 0]
        if not nodes and (beam.entries or drawn):
            return compared, True
        if nodes and compared > most:
            return compared, False
        passing, failing = ([], []) if nodes else (_drawn(passes), [])
        drawn = drawn or not nodes
        visited[passing] = True
        for node in nodes:
            others = [other for other in _linked(links, node) if not visited[other]]
            passing += [other for other in others if passes[other]]
            failing += [other for other in others if not passes[other]]
            visited[passing] = True


def _linked(links: NDArray[np.int32], row: int) -> list[int]:
    """Return the links of a row, up to the first that points outside."""
    listed = links[row].tolist()
    inside = next((at for at, other in enumerate(listed) if not 0 <= other < len(links)), len(listed))
    return listed[:inside]


def _drawn(passes: BoolArray) -> list[int]:
    """Return the first match of each of `DRAWN` equal stretches of the rows."""
    words = -(-len(passes) // bitmaps.WORD)
    edges = [bitmaps.WORD * (part * words // DRAWN) for part in range(DRAWN + 1)]
    found = (start + np.flatnonzero(passes[start:stop])[:1] for start, stop in pairwise(edges))
    return [int(row) for part in found for row in part]
