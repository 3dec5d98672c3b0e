"""The hierarchical graph: HNSW, and its denser kin without pruning on which ACORN walks.

Each row is drawn a top level (Malkov and Yashunin 2018, with ``1 / ln M``); a walk descends greedily from the single
entry to level 0. HNSW keeps links by the rule of relative neighbourhoods. ACORN (Patel et al. 2024, section 5) keeps
the nearest candidates as they are; on level 0 those after the first ``dense`` are dropped if a link kept after
these leads to them already, because the walk looks two links ahead there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.compiled import compiled
from spaceform.search.graphs.beams import gap, new_beam, offer, take
from spaceform.search.graphs.pruning import choose, connect
from spaceform.search.graphs.vamana import Data, Graph, enter, walk
from spaceform.types import IntArray


class Hierarchy(NamedTuple):
    """``base`` links all rows; row i has its links on level l > 0 in line ``place[i] + l - 1`` of ``upper``."""

    base: Graph
    upper: Graph
    level: NDArray[np.int32]
    place: IntArray
    entry: int


def build_hnsw(
    data: Data, *, links: int, build_list: int, generator: np.random.Generator, dense: int = 0, candidates: int = 0
) -> Hierarchy:
    """Link all rows; O(n build_list links d).

    ``links`` per row and level, twice as many on level 0. With ``candidates`` > 0 lists are ACORN's: that many on
    every level, on level 0 compressed after the first ``dense``.
    """
    n = len(data.rows)
    level = (-np.log(1 - generator.random(n)) / np.log(max(2, links))).astype(np.int32)
    place = np.concatenate([[0], np.cumsum(level)[:-1]]).astype(np.int64)
    lines = int(level.sum())
    wide = max(candidates, dense) or 2 * links
    base = Graph(np.full((n, wide), -1, np.int32), np.zeros(n, np.int32))
    upper = Graph(np.full((max(1, lines), candidates or links), -1, np.int32), np.zeros(max(1, lines), np.int32))
    sizes = (links, dense, candidates)
    entry = _insert(tuple(data), tuple(base), (*upper, level, place), sizes, new_beam(build_list))
    width = max(1, int(base.degree.max(initial=0)))
    return Hierarchy(Graph(np.ascontiguousarray(base.links[:, :width]), base.degree), upper, level, place, int(entry))


def search_hnsw(
    data: Data, graph: Hierarchy, queries: NDArray[np.float32], k: int, *, length: int
) -> tuple[NDArray[np.int32], IntArray]:
    """Return the ``k`` nearest rows found, ``(q, k)`` with -1 for none, and the distances computed for each query."""
    found, scored = np.full((len(queries), k), -1, np.int32), np.zeros(len(queries), np.int64)
    upper = (*graph.upper, graph.level, graph.place)
    beam = new_beam(max(k, length))
    _search(tuple(data), tuple(graph.base), upper, graph.entry, queries, beam, found, scored)
    return found, scored


@compiled(error_model="numpy")
def greedy(rows, upper, node, queries, at, layer):  # type: ignore[no-untyped-def]
    """Return the row of a level from which no link leads nearer to a query, starting at ``node``; and the distances."""
    links, degree, _, place = upper
    best, scored = gap(rows, node, queries, at), 1
    while True:
        line, before = place[node] + layer - 1, node
        for link in range(degree[line]):
            other = links[line, link]
            distance = gap(rows, other, queries, at)
            scored += 1
            if distance < best:
                best, node = distance, other
        if node == before:
            return node, scored


@compiled(error_model="numpy")
def _search(data, base, upper, entry, queries, beam, found, scored):  # type: ignore[no-untyped-def]
    rows, level = data[0], upper[2]
    nothing, codes = np.empty((len(queries), 0), np.uint64), np.empty((len(queries), 0), np.int32)
    visited = np.zeros(len(rows), np.int32)
    for at in range(len(queries)):
        node, asked = entry, (queries, at, nothing, codes)
        for layer in range(level[entry], 0, -1):
            node, more = greedy(rows, upper, node, queries, at, layer)
            scored[at] += more
        beam[3][0], beam[3][1] = 0, 0
        scored[at] += enter(data, asked, node, beam, visited, at + 1)
        scored[at] += walk(data, base, asked, beam, visited, at + 1)
        for spot in range(min(found.shape[1], beam[3][0])):
            found[at, spot] = beam[1][spot]


@compiled(error_model="numpy")
def _insert(data, base, upper, sizes, beam):  # type: ignore[no-untyped-def]
    """Link the rows one after the other; return the entry: the first row of the highest level."""
    rows = data[0]
    links, degree, level, place = upper
    most, dense, candidates = sizes
    n, entry, stamp = len(rows), 0, 0
    visited, marks = np.zeros(n, np.int32), np.zeros(n + 1, np.int64)
    size = max(len(beam[0]), base[0].shape[1], links.shape[1]) + 1
    room, out = (np.empty(size, np.int32), np.empty(size), np.empty(size, np.int32)), np.empty(size, np.int32)
    alpha = 0.0 if candidates > 0 else 1.0
    step = most if candidates > 0 else size
    for node in range(1, n):
        start = entry
        for layer in range(level[entry], level[node], -1):
            start, _ = greedy(rows, upper, start, rows, node, layer)
        for layer in range(min(level[entry], level[node]), -1, -1):
            beam[3][0], beam[3][1] = 0, 0
            stamp += 1
            whole = base if layer == 0 else (links, degree)
            width = whole[0].shape[1]
            if candidates == 0:
                rule = (alpha, width, width, marks)
            else:
                rule = (alpha, width, dense if layer == 0 else width, marks)
            _walk_layer(rows, whole, place, layer, node, start, beam, visited, stamp, step)
            start = beam[1][0]
            fresh = (rule[0], min(width, most) if candidates == 0 else width, rule[2], marks)
            kept = choose(data, whole, node, (beam[1], beam[0], beam[3][0]), fresh, out)
            line = node if layer == 0 else place[node] + layer - 1
            for at in range(kept):
                whole[0][line, at] = out[at]
            whole[1][line] = kept
            for at in range(kept):
                line = out[at] if layer == 0 else place[out[at]] + layer - 1
                connect(data, whole, line, out[at], node, rule, room)
        if level[node] > level[entry]:
            entry = node
    return entry


@compiled(error_model="numpy")
def _walk_layer(rows, whole, place, layer, node, start, beam, visited, stamp, step):  # type: ignore[no-untyped-def]
    """Walk on one level towards a row that is being inserted, along at most ``step`` links of each row."""
    links, degree = whole
    visited[start] = stamp
    offer(beam, start, gap(rows, start, rows, node))
    while True:
        spot = take(beam)
        if spot < 0:
            return
        met = beam[1][spot]
        line = met if layer == 0 else place[met] + layer - 1
        for at in range(min(step, degree[line])):
            other = links[line, at]
            if visited[other] != stamp:
                visited[other] = stamp
                offer(beam, other, gap(rows, other, rows, node))
