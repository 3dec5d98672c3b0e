"""The flat graph of DiskANN: every row is walked to and linked to what the walk met, pruned, in both directions.

After Subramanya et al. 2019 (Vamana) and Gollapudi et al. 2023 (Filtered-Vamana): with labels the walk to a row starts
at the start rows of its labels and enters only rows that share one with it; the links are drawn from that walk and
from an unfiltered one. With codes distances are fused (`beams.fused`), and walks start at rows drawn at random.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.compiled import compiled
from spaceform.search.graphs.beams import fused, new_beam, offer, take
from spaceform.search.graphs.pruning import connect, meets, prune, sort
from spaceform.types import IntArray

_SLACK = 1.3
"""Lists may grow to this many times their final length before they are pruned, which makes pruning rare."""


class Graph(NamedTuple):
    """Links ``(n, width)`` int32, of which the first ``degree[i]`` of row i count."""

    links: NDArray[np.int32]
    degree: NDArray[np.int32]


class Data(NamedTuple):
    """Rows ``(n, d)`` float32, label bits ``(n, words)``, codes ``(n, columns)`` and the weight of a mismatch."""

    rows: NDArray[np.float32]
    labels: NDArray[np.uint64]
    codes: NDArray[np.int32]
    weight: float

    @classmethod
    def of(
        cls, rows: NDArray[np.float32], labels: NDArray[np.uint64] | None = None,
        codes: NDArray[np.int32] | None = None, weight: float = 0.0,
    ) -> Data:  # fmt: skip
        """Return the data of rows, by default without labels and codes."""
        n = len(rows)
        bits = np.empty((n, 0), np.uint64) if labels is None else np.ascontiguousarray(labels)
        columns = np.empty((n, 0), np.int32) if codes is None else np.ascontiguousarray(codes)
        return cls(np.ascontiguousarray(rows), bits, columns, float(weight))


def build_vamana(
    data: Data, *, degree: int, build_list: int, alpha: float, starts: IntArray, generator: np.random.Generator,
    drawn: int = 0,
) -> Graph:  # fmt: skip
    """Link all rows; O(n build_list degree d).

    ``starts``: the row at which the unfiltered walk begins, then one row for each label. With ``drawn`` > 0 walks begin
    at so many rows drawn among those already linked instead.
    """
    n = len(data.rows)
    width = max(1, int(_SLACK * degree))
    graph = Graph(np.full((n, width), -1, np.int32), np.zeros(n, np.int32))
    order = generator.permutation(n).astype(np.int32)
    draws = generator.integers(0, 2**31, (n, drawn))
    _link(tuple(data), tuple(graph), order, starts.astype(np.int64), draws, build_list, alpha, degree)
    return _trimmed(data, graph, alpha=alpha, degree=degree)


def complete(n: int) -> Graph:
    """Return the graph in which every row is linked to all others."""
    links = np.tile(np.arange(n, dtype=np.int32), (n, 1))
    links = links[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    return Graph(links, np.full(n, n - 1, np.int32))


def medoid(rows: NDArray[np.float32]) -> int:
    """Return the row nearest to the mean."""
    return int(((rows - rows.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=1).argmin())


def _trimmed(data: Data, graph: Graph, *, alpha: float, degree: int) -> Graph:
    """Return a graph whose lists are pruned to their final length, and no wider than that."""
    prune_all(tuple(data), tuple(graph), alpha, degree)
    width = max(1, int(graph.degree.max(initial=0)))
    return Graph(np.ascontiguousarray(graph.links[:, :width]), graph.degree)


@compiled(error_model="numpy")
def prune_all(data, graph, alpha, most):  # type: ignore[no-untyped-def]
    """Prune, in place, every list that is longer than ``most``."""
    rows, _, codes, weight = data
    links, degree = graph
    nodes, gaps = np.empty(links.shape[1], np.int32), np.empty(links.shape[1])
    out = np.empty(links.shape[1], np.int32)
    for node in range(len(rows)):
        count = degree[node]
        if count > most:
            for at in range(count):
                nodes[at] = links[node, at]
                gaps[at] = fused(rows, nodes[at], rows, node, codes, codes, weight)
            sort(nodes, gaps, count)
            degree[node] = prune(data, node, (nodes, gaps, count), alpha, most, out)
            for at in range(degree[node]):
                links[node, at] = out[at]


@compiled(error_model="numpy")
def walk(data, graph, asked, beam, visited, stamp):  # type: ignore[no-untyped-def]
    """Walk from what is in the beam to the rows nearest to a query; return the number of distances computed.

    ``asked = (queries, at, wanted, codes)``: the query is row ``at``; only rows with one of the labels ``wanted[at]``
    are entered. ``visited (n,)`` holds ``stamp`` for the rows that were seen, those in the beam included.
    """
    rows, labels, codes, weight = data
    links, degree = graph
    queries, at, wanted, asked_codes = asked
    nodes, scored = beam[1], 0
    while True:
        place = take(beam)
        if place < 0:
            return scored
        node = nodes[place]
        for link in range(degree[node]):
            other = links[node, link]
            if visited[other] == stamp:
                continue
            visited[other] = stamp
            if meets(labels, other, wanted, at):
                scored += 1
                offer(beam, other, fused(rows, other, queries, at, codes, asked_codes, weight))


@compiled(error_model="numpy")
def enter(data, asked, start, beam, visited, stamp):  # type: ignore[no-untyped-def]
    """Put a start row in the beam, if it may be entered and was not seen; return the number of distances."""
    rows, labels, codes, weight = data
    queries, at, wanted, asked_codes = asked
    if visited[start] == stamp or not meets(labels, start, wanted, at):
        return 0
    visited[start] = stamp
    offer(beam, start, fused(rows, start, queries, at, codes, asked_codes, weight))
    return 1


@compiled(error_model="numpy")
def _link(data, graph, order, starts, draws, length, alpha, most):  # type: ignore[no-untyped-def]
    rows, labels, codes, _ = data
    links, degree = graph
    n, words = len(rows), labels.shape[1]
    everything = np.full((n, words), ~np.uint64(0))
    beam = (np.empty(length), np.empty(length, np.int32), np.empty(length, np.bool_), np.zeros(2, np.int64))
    visited, stamp = np.zeros(n, np.int32), 0
    room_size = max(2 * length, links.shape[1] + 1)
    nodes, gaps = np.empty(room_size, np.int32), np.empty(room_size)
    room = (
        np.empty(links.shape[1] + 1, np.int32),
        np.empty(links.shape[1] + 1),
        np.empty(links.shape[1] + 1, np.int32),
    )
    out, rule = np.empty(most, np.int32), (alpha, most, 0, visited)
    for turn in range(n):
        node, count = order[turn], 0
        for unfiltered in (True, False):
            if not unfiltered and words == 0:
                continue
            beam[3][0], beam[3][1] = 0, 0
            stamp += 1
            asked = (rows, node, everything if unfiltered else labels, codes)
            if draws.shape[1] > 0:
                for draw in range(draws.shape[1] if turn > 0 else 0):
                    enter(data, asked, order[draws[turn, draw] % turn], beam, visited, stamp)
            elif unfiltered:
                enter(data, asked, starts[0], beam, visited, stamp)
            else:
                for label in range(len(starts) - 1):
                    if labels[node, label // 64] >> np.uint64(label % 64) & np.uint64(1):
                        enter(data, asked, starts[label + 1], beam, visited, stamp)
            walk(data, graph, asked, beam, visited, stamp)
            for at in range(beam[3][0]):
                nodes[count], gaps[count] = beam[1][at], beam[0][at]
                count += 1
        sort(nodes, gaps, count)
        degree[node] = prune(data, node, (nodes, gaps, count), alpha, most, out)
        for at in range(degree[node]):
            links[node, at] = out[at]
        for at in range(degree[node]):
            connect(data, graph, out[at], out[at], node, rule, room)


def search(
    data: Data, graph: Graph, queries: NDArray[np.float32], k: int, *, length: int, starts: IntArray,
    wanted: NDArray[np.uint64] | None = None, codes: NDArray[np.int32] | None = None,
) -> tuple[NDArray[np.int32], IntArray]:  # fmt: skip
    """Return the ``k`` nearest rows found, ``(q, k)`` with -1 for none, and the distances computed for each query.

    ``length`` of the beam, at least k; ``starts (q, s)`` rows to begin at, -1 for none; ``wanted (q, words)`` labels of
    which a row must have one; ``codes (q, columns)`` that fused distances compare, -1 for any.
    """
    q = len(queries)
    words = np.empty((q, 0), np.uint64) if wanted is None else wanted
    asked_codes = np.empty((q, 0), np.int32) if codes is None else codes
    found = np.full((q, k), -1, np.int32)
    scored = np.zeros(q, np.int64)
    beam = new_beam(max(k, length))
    _search(tuple(data), tuple(graph), (queries, words, asked_codes), starts.astype(np.int64), beam, found, scored)
    return found, scored


@compiled(error_model="numpy")
def _search(data, graph, asked, starts, beam, found, scored):  # type: ignore[no-untyped-def]
    queries, words, codes = asked
    visited = np.zeros(len(data[0]), np.int32)
    for at in range(len(queries)):
        beam[3][0], beam[3][1] = 0, 0
        one = (queries, at, words, codes)
        for start in starts[at]:
            if start >= 0:
                scored[at] += enter(data, one, start, beam, visited, at + 1)
        scored[at] += walk(data, graph, one, beam, visited, at + 1)
        for place in range(min(found.shape[1], beam[3][0])):
            found[at, place] = beam[1][place]
