"""Links between rows that lie near each other: found cell by cell in matrix products, pruned, and joined both ways.

Rows lie cell by cell already, so that the neighbours of a row are looked for in its own cell and in the cells whose
centroids are nearest, by one product per cell, where other graphs walk to every row. The candidates are pruned by the
rule of relative neighbourhoods (`graphs.pruning`), and every link is offered in the other direction. No link leads
far: a walk begins at the captains, the rows nearest to the centroids of the cells, which stand in groups.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.graph.linking import incoming, join, link
from spaceform.search.filtered.graph.links import DEGREE, Graph
from spaceform.search.filtered.graph.refining import refine
from spaceform.search.filtered.scan.batches.threads import share
from spaceform.search.filtered.scan.cells import k_means
from spaceform.search.filtered.scan.codes import byte_frame, encode_bytes
from spaceform.search.filtered.scan.layout import METRICS, Base, Layout, frozen, screened
from spaceform.types import IntArray

_COMPARED = 1_024
"""Rows among which the neighbours of a row are looked for first: those of its cell and of the nearest cells, at least
so many."""

_CANDIDATES = 48
"""Rows nearest to a row in these cells that are considered as its neighbours."""

_WALKED = 128
"""Rows nearest to a row at the end of a walk that are considered; half as many among `_MANY` rows, for the time."""

_MANY = 1_000_000

_ALPHA = 1.0
"""A neighbour is dropped if another one is nearer to it by this factor (Vamana, Subramanya et al. 2019). At 1.2 lists
were full of the nearest, and walks to queries that are no rows found a tenth fewer of the true neighbours."""

_MOST_COMPARED = 16_384
"""Rows with which those of a cell are compared at most; of more every second, third ... is taken."""

_BLOCK_BYTES = 16 * 2**20


_Data: TypeAlias = tuple[NDArray[np.float32], NDArray[np.uint64], NDArray[np.int32], float]
"""Rows with no labels, no codes and no weight of a mismatch, as `graphs.pruning` takes them."""


def build_graph(base: Base, layout: Layout, metric: str, *, threads: int, generator: np.random.Generator) -> Graph:
    """Link the rows of a layout: cell by cell, and then anew along walks; O(n (rows compared + DEGREE^2) d).

    Distances are those of the space in which rows are screened. For inner products a coordinate is added with which
    all rows are equally long, so that the nearest row is that of the largest product (Bachrach et al. 2014).
    """
    view = screened(base.rows, base.norms, metric=metric, centre=layout.centre)
    starts = _captains(view, layout, generator)
    if metric == "ip":
        heights = np.sqrt(np.maximum(0.0, base.norms.max() ** 2 - base.norms**2))
        view = np.column_stack([view, heights.astype(np.float32)])
    data = view, np.empty((len(view), 0), np.uint64), np.empty((len(view), 0), np.int32), 0.0
    coded = _coded(view, layout, metric)
    walked = _WALKED if len(view) < _MANY else _WALKED // 2
    links = _joined(data, _linked(data, layout, threads), threads)
    refined = np.full_like(links, -1)
    held = Graph(links, *starts).memory, coded.memory  # a name, so that they stay while compiled code reads there
    code = METRICS.index("euclidean" if metric == "ip" else metric)

    def of_part(_: int, first: int, last: int) -> None:
        refine(code, data, held[0].address, held[1].address, (walked, _ALPHA), first, last, refined)

    share(of_part, len(view), threads)
    links = _joined(data, refined, threads)
    graph: Graph = frozen(Graph(links, *starts))
    return graph


def _linked(data: _Data, layout: Layout, threads: int) -> NDArray[np.int32]:
    """Return the links of all rows to those of their own cells and of the nearest ones."""
    view, where = data[0], layout.starts
    halves = np.einsum("nd,nd->n", view, view) / 2
    links = np.full((len(view), DEGREE), -1, np.int32)

    cells = np.flatnonzero(np.diff(where)).tolist()

    def of_cell(cell: int) -> None:
        places = _compared(_nearest_cells(cell, layout), where)
        others, half = view[places].T, halves[places]
        height = max(1, _BLOCK_BYTES // (4 * len(places)))
        for first in range(int(where[cell]), int(where[cell + 1]), height):
            last = min(first + height, int(where[cell + 1]))
            link(data, view[first:last] @ others, half, places, first, (_CANDIDATES, _ALPHA), links)

    def of_part(_: int, first: int, last: int) -> None:
        for cell in cells[first:last]:
            of_cell(cell)

    share(of_part, len(cells), threads)
    return links


def _joined(data: _Data, links: NDArray[np.int32], threads: int) -> NDArray[np.int32]:
    """Return links in both directions."""
    back, joined = incoming(links), np.full_like(links, -1)
    share(lambda _, first, last: join(data, links, back, _ALPHA, first, last, joined), len(links), threads)
    return joined


def _coded(view: NDArray[np.float32], layout: Layout, metric: str) -> Layout:
    """Return a layout with the 8-bit codes by which rows are walked to; queries are rows as they are screened."""
    here = np.zeros(view.shape[1])
    if metric != "ip":
        return layout._replace(centre=here)
    minima, steps = byte_frame(view)
    codes, error, spread = encode_bytes(view, minima, steps)
    level = -np.einsum("nd,nd->n", view, view, dtype=np.float64)
    return layout._replace(
        level=level, codes=codes, error=error, minima=minima, steps=steps, centre=here, spread=np.array([spread])
    )


def _nearest_cells(cell: int, layout: Layout) -> IntArray:
    """Return a cell and those nearest to it, as many as hold `_COMPARED` rows; O(n_cells d)."""
    gaps = layout.lengths**2 - 2 * (layout.centroids @ layout.centroids[cell])
    gaps[cell] = -np.inf
    order = np.argsort(gaps, kind="stable")
    held = np.cumsum(np.diff(layout.starts)[order])
    return order[: int(np.searchsorted(held, _COMPARED)) + 1]


def _compared(cells: IntArray, starts: IntArray) -> NDArray[np.int32]:
    """Return the rows with which those of a cell are compared."""
    places = np.concatenate([np.arange(starts[cell], starts[cell + 1], dtype=np.int32) for cell in np.sort(cells)])
    return np.ascontiguousarray(places[:: -(-len(places) // _MOST_COMPARED)])


def _captains(
    view: NDArray[np.float32], layout: Layout, generator: np.random.Generator
) -> tuple[NDArray[np.int32], IntArray, NDArray[np.int32]]:
    """Return the captains group by group, where each group starts, and the leaders."""
    starts = layout.starts
    cells = np.flatnonzero(np.diff(starts)).tolist()
    rows = np.array([starts[c] + _nearest(view[starts[c] : starts[c + 1]], layout.centroids[c]) for c in cells])
    centres, group = k_means(view[rows], max(1, int(np.sqrt(len(rows)))), generator)
    order = np.argsort(group, kind="stable")
    present, first = np.unique(group[order], return_index=True)
    captains, groups = rows[order], np.append(first, len(rows)).astype(np.int64)
    leaders = [
        captains[first + _nearest(view[captains[first:last]], centres[number])]
        for number, first, last in zip(present, groups[:-1], groups[1:], strict=True)
    ]
    return captains.astype(np.int32), groups, np.array(leaders, np.int32)


def _nearest(rows: NDArray[np.float32], point: NDArray[np.float32]) -> int:
    gaps = rows - point
    return int(np.einsum("nd,nd->n", gaps, gaps).argmin())
