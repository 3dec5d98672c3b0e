"""What a filter lets through: text, expressions, masks and lists of ids, turned into bits and counted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from spaceform.errors import InputError
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.search.filtered.sets.selected import Listed, Marked, Selected, in_order
from spaceform.search.filtered.state import State
from spaceform.search.filters import And, Constant, Expr, as_expression
from spaceform.types import BoolArray, IntArray

Filter: TypeAlias = str | Expr | BoolArray | IntArray | None

REMEMBERED = 256
"""Filters whose matches are kept: N / 8 bytes each, or up to N / 4 for lists of rows that were asked for as bits."""

_NOBODY: Words = np.empty(0, np.uint64)


class Matches(NamedTuple):
    """The live rows that pass: in the segment and in the tail, how many, and the private list that holds them all."""

    rows: Selected
    later: Words
    inside: int
    total: int
    list_name: str = ""

    @property
    def words(self) -> Words:
        """Those in the segment, as bits."""
        return self.rows.words


class Matcher:
    """Evaluates filters, and remembers those last asked about the segment (which does not change)."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        """Remember nothing yet, and at most so many later."""
        self._most = remembered
        self._known: OrderedDict[tuple[int, object], tuple[Expr, Selected]] = OrderedDict()
        self._lock = Lock()

    def matches(self, where: Filter, state: State) -> Matches:
        """Return what passes. Raises ``FilterError`` and ``InputError`` for what is no filter of these rows."""
        segment, name, later = state.segment, "", _NOBODY
        # isinstance would ask the registry of abstract classes, which takes longer
        if where is None or isinstance(where, str) or Expr in type(where).__mro__:
            expression, rows = self.expression(where, state)  # type: ignore[arg-type]
            if state.tail:
                later = bitmaps.pack(expression.mask(state.tail.table))
            if segment.lists:
                name = _list_name(expression, state)
        else:
            rows, later = _of_array(where, state)
        if state.has_dead:
            rows = _alive(rows, state)
        inside = total = rows.count
        if state.tail is not None:
            later = later & state.live[1]
            total += segment.attributes.sets.count(later)
        return Matches(rows, later, inside, total, name)

    def expression(self, where: str | Expr | None, state: State) -> tuple[Expr, Selected]:
        """Return the checked expression and the rows of the segment for which it is true, dead ones included."""
        attributes = state.segment.attributes
        key = (id(attributes), where)
        if self._most:
            with self._lock:
                if key in self._known:
                    self._known.move_to_end(key)
                    return self._known[key]
        expression = as_expression(where) if where is None or isinstance(where, str) else where
        checked = expression.check(attributes.schema)
        found = checked, attributes.select(checked)
        if self._most:
            with self._lock:
                self._known[key] = found
                while len(self._known) > self._most:
                    self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        """Drop what is remembered: the segment was replaced."""
        with self._lock:
            self._known.clear()


def _alive(rows: Selected, state: State) -> Selected:
    """Return the rows that are alive."""
    sets = state.segment.attributes.sets
    if isinstance(rows, Listed):
        return Listed(rows.places[state.alive[rows.places]], len(state.segment), sets)
    words = rows.words & state.live[0]
    return Marked(words, sets.count(words))


def per_query(where: Any, q: int) -> list[Filter] | None:
    """Return the filters of each query if ``where`` is a list of filters, None if it is one filter for all.

    Raises ``InputError`` for a list of another length than the number of queries.
    """
    if not isinstance(where, list | tuple):
        return None
    if not where or all(isinstance(one, int | np.integer) for one in where):
        return None
    if not all(one is None or isinstance(one, str | Expr | np.ndarray | list | tuple) for one in where):
        kinds = ", ".join(sorted({type(one).__name__ for one in where}))
        raise InputError("where", got=f"a list of {kinds}", expected="one filter, or a list of one filter per query")
    if len(where) != q:
        raise InputError("where", got=f"{len(where)} filters for {q} queries", expected="one, or one per query")
    return list(where)


def grouped(where: Any, q: int) -> Iterator[tuple[IntArray, Filter]]:
    """Yield the queries of each distinct filter; text and expressions are compared, arrays taken one by one."""
    listed = per_query(where, q)
    if listed is None:
        yield np.arange(q), where
        return
    groups: dict[object, list[int]] = {}
    for i, one in enumerate(listed):
        groups.setdefault(one if one is None or isinstance(one, str | Expr) else i, []).append(i)
    for members in groups.values():
        yield np.array(members), listed[members[0]]


def _of_array(where: Any, state: State) -> tuple[Selected, Words]:
    array = np.asarray(where)
    if array.ndim != 1 or (array.dtype.kind not in "biu" and array.size):
        raise InputError(
            "where", got=f"{array.dtype} of shape {array.shape}",
            expected="a condition, booleans (one per id up to the largest), or a list of ids",
        )  # fmt: skip
    inside, later = state.segment.base.ids, state.tail.base.ids if state.tail else np.empty(0, np.int64)
    sets = state.segment.attributes.sets
    if array.dtype == np.bool_:
        if len(array) != state.next_id:
            raise InputError(
                "where", got=f"a mask of {len(array)}", expected=f"{state.next_id}: one entry per id up to the largest"
            )
        words = bitmaps.pack(array[inside])
        return Marked(words, sets.count(words)), bitmaps.pack(array[later])
    ids = array.astype(np.int64)
    if ids.size and (ids.min() < 0 or array.max() >= state.next_id):
        bad = int(array.min() if ids.min() < 0 else array.max())
        raise InputError("where", got=f"id {bad}", expected=f"ids from 0 to {state.next_id - 1}")
    if len(np.unique(ids)) < len(ids):
        raise InputError("where", got="an id twice", expected="every id once")
    places, after = state.find(ids)
    rows = in_order(places[places >= 0].astype(np.int32), len(inside), sets)
    return rows, bitmaps.scattered(after[after >= 0], len(later))


def _list_name(expression: Expr, state: State) -> str:
    """Return the shortest private list that holds all matches of an expression: its own, or that of a conjunct."""
    lists = state.segment.lists
    if isinstance(expression, Constant):
        return ""
    parts = [expression, *(expression.parts if isinstance(expression, And) else ())]
    found = [name for name in map(str, parts) if name in lists]
    return min(found, key=lambda name: len(lists[name].layout.where), default="")
