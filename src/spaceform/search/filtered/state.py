"""The rows of an index at one moment: a segment, rows added since, and which of both are alive. Nothing here changes.

A change makes a new state, so that a search sees one moment whatever is written meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spaceform.checks import check_integer
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.search.filtered.scan.layout import Base, Layout, frozen, lay_out_tail, norms_of
from spaceform.search.filtered.segment import Segment
from spaceform.types import BoolArray, IntArray


@dataclass(frozen=True)
class Tail:
    """Rows added since the segment was built: always scanned, in the codes of the segment."""

    base: Base
    layout: Layout
    table: pa.Table

    def __len__(self) -> int:
        """The number of rows, deleted ones included."""
        return len(self.base.ids)


@dataclass(frozen=True)
class State:
    """A segment and a tail with the rows that are ``alive`` in each; ``next_id`` is above every id ever given."""

    segment: Segment
    alive: BoolArray
    next_id: int
    tail: Tail | None = None
    tail_alive: BoolArray = field(default_factory=lambda: np.zeros(0, bool))
    _on: dict[int, State] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, segment: Segment, next_id: int) -> State:
        """Return the state in which all rows of a segment are alive."""
        return cls(segment, np.ones(len(segment), bool), next_id)

    def on(self, threads: int) -> State:
        """Return the same rows, searched on so many threads."""
        engine = self.segment.engine
        if engine.threads == threads:
            return self
        if threads not in self._on:
            engine = replace(engine, threads=check_integer(threads, "threads", low=1))
            self._on[threads] = replace(self, segment=replace(self.segment, engine=engine))
        return self._on[threads]

    def __len__(self) -> int:
        """The number of rows alive."""
        return int(self.alive.sum() + self.tail_alive.sum())

    @cached_property
    def live(self) -> tuple[Words, Words]:
        """The rows alive, as bits."""
        return bitmaps.pack(self.alive), bitmaps.pack(self.tail_alive)

    @cached_property
    def has_dead(self) -> bool:
        """Whether some row of the segment is dead."""
        return not self.alive.all()

    @cached_property
    def ids(self) -> IntArray:
        """The ids alive, ascending."""
        later = self.tail.base.ids[self.tail_alive] if self.tail else np.empty(0, np.int64)
        return np.sort(np.concatenate([self.segment.base.ids[self.alive], later]))

    def find(self, ids: IntArray) -> tuple[IntArray, IntArray]:
        """Return the positions of live rows in the segment and in the tail, -1 where a row is not there; O(log n)."""
        inside = _positions(self.segment.base.ids, self.segment.by_id, self.alive, ids)
        if self.tail is None:
            return inside, np.full(len(ids), -1)
        order = np.argsort(self.tail.base.ids, kind="stable")
        return inside, _positions(self.tail.base.ids, order, self.tail_alive, ids)

    def take(self, ids: IntArray) -> tuple[NDArray[np.float32], pa.Table]:
        """Return the vectors and attributes of live rows."""
        inside, later = self.find(ids)
        rows = self.segment.base.rows[inside]
        table = self.segment.attributes.table
        if self.tail is not None:
            added = later >= 0
            rows[added] = self.tail.base.rows[later[added]]
            table = pa.concat_tables([table, self.tail.table])
            inside = np.where(added, len(self.segment) + later, inside)
        return rows, table.take(inside)

    def put(self, ids: IntArray, rows: NDArray[np.float32], table: pa.Table) -> State:
        """Add rows, in the place of those of the same id."""
        before = self.without(ids)
        base = Base(rows, norms_of(rows), ids)
        old, alive = before.tail, before.tail_alive
        if old is not None:
            keep = alive  # what is dead in the tail is forgotten
            base = Base(
                np.concatenate([old.base.rows[keep], rows]),
                np.concatenate([old.base.norms[keep], base.norms]),
                np.concatenate([old.base.ids[keep], ids]),
            )
            table = pa.concat_tables([old.table.filter(pa.array(keep)), table]).combine_chunks()
        segment = self.segment
        tail = Tail(frozen(base), lay_out_tail(base, segment.engine.metric, segment.layout), table)
        following = max(self.next_id, int(ids.max()) + 1)
        return State(segment, before.alive, following, tail, np.ones(len(tail), bool))

    def without(self, ids: IntArray) -> State:
        """Bury the rows of these ids; ids that are not alive change nothing."""
        inside, later = self.find(ids)
        alive, tail_alive = self.alive, self.tail_alive
        if (inside >= 0).any():
            alive = alive.copy()
            alive[inside[inside >= 0]] = False
        if (later >= 0).any():
            tail_alive = tail_alive.copy()
            tail_alive[later[later >= 0]] = False
        return replace(self, alive=alive, tail_alive=tail_alive)

    def everything(self) -> tuple[Base, pa.Table]:
        """Return all live rows in the order of their ids."""
        rows, table = self.take(self.ids)
        return Base(rows, norms_of(rows), self.ids), table


def _positions(ids: IntArray, order: IntArray, alive: BoolArray, wanted: IntArray) -> IntArray:
    """Return where ``wanted`` ids stand and live, else -1; ``order`` sorts ``ids``, which may repeat if dead."""
    if not len(ids):
        return np.full(len(wanted), -1)
    spot = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    found = order[spot]
    return np.where((ids[found] == wanted) & alive[found], found, -1)
