"""Rows that do not change: laid out, indexed and measured once; searched by any plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spaceform.search.filtered.calibration import calibrated
from spaceform.search.filtered.graph.links import Graph, is_wanted
from spaceform.search.filtered.graph.walking import walked
from spaceform.search.filtered.planner import Costs
from spaceform.search.filtered.postings import AttributeIndex
from spaceform.search.filtered.rows import as_arrow
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.search.filtered.scan.engine import PLANS, Engine, Found, Wanted
from spaceform.search.filtered.scan.layout import Base, Layout, frozen, lay_out
from spaceform.search.filtered.scan.plans import BITS, SCAN
from spaceform.search.filtered.sets.selected import Selected
from spaceform.types import FloatArray, IntArray, Progress, no_progress

_NO_WORDS: Words = np.empty(0, np.uint64)
"""What plans are given that go through a list of rows."""


@dataclass(frozen=True)
class PrivateList:
    """A layout of only the rows that pass a filter, with its own measured costs."""

    layout: Layout
    costs: Costs


@dataclass(frozen=True)
class Segment:
    """Rows in storage order with their layout, attribute indexes, private lists (by filter), costs and maybe links."""

    base: Base
    layout: Layout
    attributes: AttributeIndex
    engine: Engine
    costs: Costs
    lists: Mapping[str, PrivateList] = field(default_factory=dict)
    graph: Graph | None = None

    def __len__(self) -> int:
        """The number of rows, deleted ones included."""
        return len(self.base.ids)

    @cached_property
    def by_id(self) -> IntArray:
        """The positions of the rows in the order of their ids."""
        return np.argsort(self.base.ids, kind="stable")

    def scan(
        self, wanted: Wanted, queries: NDArray[np.float32], k: int, *, rows: Selected, recall: float, name: str = ""
    ) -> tuple[Found, FloatArray]:
        """Answer queries among ``rows``; plan P goes through the list of the filter ``name``."""
        if self.graph is not None and wanted.plan == PLANS["G"]:
            return walked(
                self.engine, wanted, queries, k, rows=rows, base=self.base, layout=self.layout, graph=self.graph,
                recall=recall,
            )  # fmt: skip
        layout = self.lists[name].layout if wanted.plan == PLANS["P"] else self.layout
        places = rows.places if self.engine.compiled else None
        words = _NO_WORDS if places is not None and wanted.plan in (SCAN, BITS) else rows.words
        return self.engine.scan(
            wanted, queries, k, words=words, places=places, base=self.base, layout=layout, recall=recall
        )

    def with_list(self, name: str, words: Words, *, recall: float, generator: np.random.Generator) -> Segment:
        """Give a filter with matches ``words`` a layout of its own, by which plan P finds its answers."""
        where = bitmaps.positions(words, len(self))
        layout = lay_out(self.base, self.engine.metric, n_cells=None, generator=generator, where=where)[1]
        costs = calibrated(self.base, layout, self.engine, recall=recall, generator=generator, where=where)
        return replace(self, lists={**self.lists, name: PrivateList(layout, costs)})


def build(
    base: Base, table: pa.Table, engine: Engine, *, recall: float, generator: np.random.Generator,
    graph: bool | str = False, progress: Progress = no_progress,
) -> Segment:  # fmt: skip
    """Lay out rows, link them if a ``graph`` is wanted, and measure the plans on them.

    O(n d n_cells) time with n_cells = 4 sqrt(n).
    """
    progress("lay out rows", 0, 2)
    order, layout = lay_out(base, engine.metric, n_cells=None, generator=generator)
    sorted_base = frozen(Base(np.ascontiguousarray(base.rows[order]), base.norms[order], base.ids[order]))
    attributes = AttributeIndex(table.take(as_arrow(order)).combine_chunks(), compiled=engine.compiled)
    links = None
    if is_wanted(graph, len(order), recall, compiled=engine.compiled):
        from spaceform.search.filtered.graph.build import build_graph  # which loads numba

        progress("link rows", 0, 2)
        links = build_graph(sorted_base, layout, engine.metric, threads=engine.threads, generator=generator)
    progress("measure plans", 1, 2)
    costs = calibrated(sorted_base, layout, engine, recall=recall, generator=generator, graph=links)
    progress("measure plans", 2, 2)
    return Segment(sorted_base, layout, attributes, engine, costs, graph=links)
