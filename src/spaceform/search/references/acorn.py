"""ACORN: a graph built without attributes, dense enough that the passing rows alone are a graph to walk on."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_integer, check_real
from spaceform.compiled import compiled
from spaceform.search.graphs.beams import gap, new_beam, offer, take
from spaceform.search.graphs.hnsw import build_hnsw
from spaceform.search.graphs.vamana import Data
from spaceform.search.references.contract import AbstractReference, Asked
from spaceform.types import IntArray, RandomState


@final
class AcornIndex(AbstractReference):
    """ACORN (Patel et al. 2024): only passing rows are compared; links of failing ones are looked at in their stead.

    ``gamma`` > 1 is ACORN-gamma: lists of ``links gamma`` candidates, of which level 0 keeps the ``dense`` nearest and
    then those that no other leads to; the walk looks through the links beyond ``dense``. ``gamma`` 1 is ACORN-1: lists
    of ``2 links``, and the walk looks through every failing row. A row is done after ``2 links`` passing neighbours.

    Parameters: ``links`` (M), ``gamma``, ``dense`` (M_beta; None: ``2 links`` for ACORN-1, else ``3 links / 4``),
    ``build_list`` (efConstruction; None: as many as the candidates), ``search_list`` (ef), ``scan_below`` the share of
    passing rows under which they are scanned (None: ``1 / gamma`` if gamma > 1, else never).

    Any filter, a mask too; it is evaluated for all rows before the walk, as in the published code. That code lets the
    entry into the answers unchecked: here it may guide the walk but is no answer unless it passes. With few
    matches ACORN-1 finds fewer than k: nothing leads from the entry to them. Raises ``InputError`` for bad rows and
    conditions. O(n links gamma build_list d) to build, O(n / 64 + search_list links d) a query.

    >>> index = AcornIndex(metric="euclidean").fit([[0.0], [1.0], [2.0]], {"a": [1, 2, 1]})
    >>> index.query([[1.4]], 1, where="a = 1").rows
    array([[2]])
    """

    def __init__(
        self, *, links: int = 32, gamma: int = 1, dense: int | None = None, build_list: int | None = None,
        search_list: int = 64, scan_below: float | None = None, metric: str = "cosine", random_state: RandomState = 0,
    ) -> None:  # fmt: skip
        self.links = links
        self.gamma = gamma
        self.dense = dense
        self.build_list = build_list
        self.search_list = search_list
        self.scan_below = scan_below
        self.metric = metric
        self.random_state = random_state

    def _build(self, generator: np.random.Generator) -> None:
        links, gamma = check_integer(self.links, "links", low=2), check_integer(self.gamma, "gamma", low=1)
        dense = (2 * links if gamma == 1 else 3 * links // 4) if self.dense is None else self.dense
        self._dense = check_integer(dense, "dense", low=1)
        candidates = max(links * gamma, self._dense)
        length = candidates if self.build_list is None else check_integer(self.build_list, "build_list", low=1)
        default = 1 / gamma if gamma > 1 else 0.0
        self._least = default if self.scan_below is None else check_real(self.scan_below, "scan_below", low=0, high=1)
        self._graph = build_hnsw(
            Data.of(self._rows), links=links, build_list=max(length, 1), generator=generator, dense=self._dense,
            candidates=candidates,
        )  # fmt: skip

    def _find(self, queries: NDArray[np.float32], k: int, asked: Asked) -> tuple[NDArray[np.integer[Any]], IntArray]:
        mask = asked.mask()
        if mask.mean() < self._least or not mask.any():
            return self._scan(queries, k, np.flatnonzero(mask))
        found, scored = np.full((len(queries), k), -1, np.int32), np.zeros(len(queries), np.int64)
        graph = self._graph
        upper = (*graph.upper, graph.level, graph.place)
        sizes = (graph.entry, self._dense, 2 * self.links, self.gamma == 1)
        beam = new_beam(max(k, self.search_list))
        _search(self._rows, tuple(graph.base), upper, sizes, mask, queries, beam, (found, scored))
        return found, scored


@compiled(error_model="numpy")
def _search(rows, base, upper, sizes, mask, queries, beam, outputs):  # type: ignore[no-untyped-def]
    links, degree, level, place = upper
    found, scored = outputs
    entry, dense, most, through = sizes
    _, nodes, _, state = beam
    visited, stamp = np.zeros(len(rows), np.int32), 0
    for at in range(len(queries)):
        node, count = entry, 0
        for layer in range(level[entry], 0, -1):
            while True:  # move to the nearest passing neighbour as long as there is a nearer one
                state[0], state[1] = 0, 0
                stamp += 1
                visited[node] = stamp
                if mask[node]:
                    offer(beam, node, gap(rows, node, queries, at))
                sought = (mask, place, layer, links.shape[1], most, through)
                count += _look(rows, (links, degree), node, sought, (queries, at), beam, visited, stamp)
                if state[0] == 0 or nodes[0] == node:
                    break
                node = nodes[0]
        state[0], state[1] = 0, 0
        stamp += 1
        visited[node] = stamp
        sought = (mask, place, 0, dense, most, through)
        if mask[node]:
            offer(beam, node, gap(rows, node, queries, at))
            count += 1
        else:
            count += _look(rows, base, node, sought, (queries, at), beam, visited, stamp)
        spot = take(beam)
        while spot >= 0:
            count += _look(rows, base, nodes[spot], sought, (queries, at), beam, visited, stamp)
            spot = take(beam)
        scored[at] = count
        for spot in range(min(found.shape[1], state[0])):
            found[at, spot] = nodes[spot]


@compiled(error_model="numpy")
def _look(rows, graph, node, sought, asked, beam, visited, stamp):  # type: ignore[no-untyped-def]
    """Offer the passing neighbours of a node, one link away or two, until enough passed; return the distances."""
    links, degree = graph
    mask, place, layer, dense, most, through = sought
    queries, at = asked
    line = node if layer == 0 else place[node] + layer - 1
    passed, scored = 0, 0
    for link in range(degree[line]):
        other = links[line, link]
        known = visited[other] == stamp
        if not known:
            visited[other] = stamp
            if mask[other]:
                passed += 1
                scored += 1
                offer(beam, other, gap(rows, other, queries, at))
        if passed >= most:
            break
        if (through and not mask[other] and not known) or (not through and link >= dense):
            further = other if layer == 0 else place[other] + layer - 1
            for second in range(degree[further]):
                beyond = links[further, second]
                if mask[beyond] and visited[beyond] != stamp:
                    visited[beyond] = stamp
                    passed += 1
                    scored += 1
                    offer(beam, beyond, gap(rows, beyond, queries, at))
                if passed >= most:
                    break
    return scored
