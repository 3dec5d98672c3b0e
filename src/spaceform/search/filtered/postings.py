"""Attribute indexes: for every distinct value the rows that hold it, so that a filter is counted and never guessed.

A condition is decided once per distinct value, by the code that decides it for whole tables. The rows of the values
that pass are a slice of a list, where they are few, or a bitmap. Three-valued logic needs two bitmaps per expression:
the rows for which it is true and those for which it is false; all others are unknown.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import itemgetter
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spaceform.search.attributes import Kind, Schema
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.search.filtered.sets.selected import Listed, Marked, Selected, functions, in_order
from spaceform.search.filters import And, Between, Comparison, Constant, Contains, Expr, IsNull, Not, Or, Predicate
from spaceform.types import IntArray

DENSE = 32
"""A set of more than one row in so many is handled as bits: as a list of int32 it would take more memory."""


@dataclass(frozen=True)
class Truth:
    """Where an expression is true and where it is false, as disjoint sets of rows; elsewhere it is unknown."""

    yes: Words
    no: Words


class ValueIndex:
    """Posting lists of a column with one value per row: rows sorted by value, with the place where each value starts.

    ``values`` is a table of the distinct values in order. A range of values is one slice of the sorted rows.
    Building takes O(n log n), a lookup O(log distinct values + passing rows), or O(n / 64) where many pass.
    """

    def __init__(self, name: str, column: pa.ChunkedArray, sets: ModuleType) -> None:
        """Index ``column``, of settled Arrow type without NaN; ``sets`` works on sets of rows."""
        self.n = len(column)
        self._sets = sets
        encoded = pc.dictionary_encode(column).combine_chunks()
        order = pc.sort_indices(encoded.dictionary)
        self.values = pa.table({name: encoded.dictionary.take(order)})
        self._size = len(order)
        rank = np.empty(len(order), dtype=np.int32)
        rank[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        missing = codes < 0
        self.null = bitmaps.pack(missing)
        codes = np.where(missing, len(order), rank[np.maximum(codes, 0)] if len(order) else len(order))
        self._ranks = codes.astype(np.int32)
        self._rows = np.argsort(codes, kind="stable").astype(np.int32)
        starts = np.searchsorted(codes[self._rows], np.arange(len(order) + 1))
        self._starts = starts.data  # gives Python's integers, faster than an array gives NumPy's
        self._frequent = _frequent(self._rows, starts, self.n, sets)
        self._ordered = self.values[name].combine_chunks()
        kind = self._ordered.type
        self._plain = pa.types.is_integer(kind) or pa.types.is_float64(kind) or pa.types.is_string(kind)

    def select(self, condition: Predicate) -> Selected:
        """Return the rows for which a condition on this column is true."""
        between = self.between(condition)
        if between is not None:
            return self.slice(*between)
        if type(condition) is IsNull:
            return Marked(self.null, self._sets.count(self.null))
        answers = condition.truth(self.values).combine_chunks()
        holding = np.append(answers.fill_null(False).to_numpy(zero_copy_only=False), False)
        found = np.flatnonzero(holding)
        if not len(found) or found[-1] - found[0] + 1 == len(found):
            return self.slice(int(found[0]), int(found[-1]) + 1) if len(found) else self.slice(0, 0)
        words = bitmaps.pack(holding[self._ranks])
        return Marked(words, self._sets.count(words))

    def between(self, condition: Predicate) -> tuple[int, int] | None:
        """Return the first rank that passes and the one behind the last, where ranks that pass are neighbours."""
        if not self._plain:
            return None
        listed = self._listed
        if type(condition) is Between:  # isinstance asks the registry of abstract classes, which takes longer
            return bisect_left(listed, condition.low.value), bisect_right(listed, condition.high.value)
        if type(condition) is not Comparison:
            return None
        operator, value = condition.operator, condition.value.value
        if operator == "=":
            low = bisect_left(listed, value)
            return low, low + (low < self._size and listed[low] == value)
        if operator == "!=":
            return None
        if operator[0] == "<":
            return 0, bisect_left(listed, value) if operator == "<" else bisect_right(listed, value)
        return bisect_right(listed, value) if operator == ">" else bisect_left(listed, value), self._size

    @cached_property
    def _listed(self) -> Any:
        """The distinct values in order, as Python's numbers and texts: those compare without rounding."""
        if self._ordered.type in (pa.int64(), pa.float64()):
            return memoryview(self._ordered.to_numpy(zero_copy_only=False))
        return self._ordered.to_pylist()

    def held(self, low: int, high: int) -> int:
        """Return how many rows have values of ranks from ``low`` to below ``high``."""
        return self._starts[high] - self._starts[low] if low < high else 0

    def rows(self, low: int, high: int) -> NDArray[np.int32]:
        """Return the rows whose values have ranks from ``low`` to below ``high``, sorted by value, then by row."""
        return self._rows[self._starts[low] : self._starts[max(low, high)]]

    def kept(self, rows: NDArray[np.int32], low: int, high: int) -> NDArray[np.int32]:
        """Return those of ``rows`` whose values have ranks from ``low`` to below ``high``; O(rows)."""
        frequent = self._frequent.get(low) if high == low + 1 else None
        kept: NDArray[np.int32]
        if frequent is not None:
            kept = self._sets.keep_marked(rows, frequent.words)  # n / 8 bytes stay in the cache, 4 n of ranks do not
        else:
            kept = self._sets.keep_between(rows, self._ranks, low, high)
        return kept

    def slice(self, low: int, high: int) -> Selected:
        """Return the rows whose values have ranks from ``low`` to below ``high``."""
        if high <= low:
            return Listed(self._rows[:0], self.n, self._sets)
        first, last = self._starts[low], self._starts[high]
        if high == low + 1:  # one value: its rows are in order
            return self._frequent.get(low) or Listed(self._rows[first:last], self.n, self._sets)
        if DENSE * (last - first) < self.n:
            return in_order(self._rows[first:last], self.n, self._sets)
        step, beginnings = self._beginnings
        return Marked(self._sets.mark_slice(self._rows, first, last, step, beginnings), last - first)

    @cached_property
    def _beginnings(self) -> tuple[int, NDArray[np.uint64]]:
        """A number of rows, and the first 0, 1, 2, ... times so many of the sorted rows as bits, 4 n bytes."""
        step = max(1, self.n // DENSE)
        added = [self._sets.mark(self._rows[start : start + step], self.n) for start in range(0, self.n, step)]
        return step, np.bitwise_or.accumulate([bitmaps.empty(self.n), *added[: self.n // step]], axis=0)


class SetIndex:
    """Posting lists of a column of lists of texts: for each text the rows whose list holds it."""

    def __init__(self, column: pa.ChunkedArray, sets: ModuleType) -> None:
        """Index ``column`` of type list<string>; ``sets`` works on sets of rows."""
        self.n = len(column)
        self._sets = sets
        lists = column.combine_chunks()
        self.null = bitmaps.pack(lists.is_null().to_numpy(zero_copy_only=False))
        owners = pc.list_parent_indices(lists).to_numpy()
        encoded = pc.dictionary_encode(lists.flatten())
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        order = np.lexsort((owners, codes))
        owners, codes = owners[order], codes[order]
        again = (owners[1:] == owners[:-1]) & (codes[1:] == codes[:-1])  # a list may hold a text more than once
        once = np.append(True, ~again)[: len(order)]
        self._rows = owners[once].astype(np.int32)
        self._codes = {text: code for code, text in enumerate(encoded.dictionary.to_pylist())}
        starts = np.searchsorted(codes[once], np.arange(len(self._codes) + 1))
        self._starts = starts.data
        self._frequent = _frequent(self._rows, starts, self.n, sets)

    def select(self, condition: Predicate) -> Selected:
        """Return the rows for which a condition on this column is true."""
        if type(condition) is IsNull:
            return Marked(self.null, self._sets.count(self.null))
        assert isinstance(condition, Contains)  # noqa: S101  check() lets nothing else through
        texts = condition.texts
        if len(texts) == 1:
            return self._holding(texts[0])
        found = [self._holding(text) for text in texts]
        if condition.every:
            return _in_all(found, self.n, self._sets)
        words = reduce(np.bitwise_or, [one.words for one in found])
        return Marked(words, self._sets.count(words))

    def _holding(self, text: str) -> Selected:
        code = self._codes.get(text)
        if code is None:
            return Listed(self._rows[:0], self.n, self._sets)
        frequent, starts = self._frequent.get(code), self._starts
        return frequent or Listed(self._rows[starts[code] : starts[code + 1]], self.n, self._sets)


def _frequent(rows: NDArray[np.int32], starts: IntArray, n: int, sets: ModuleType) -> dict[int, Marked]:
    """Return the values, by number, that many rows hold, as bits."""
    sizes = np.diff(starts)
    common = np.flatnonzero(DENSE * sizes > n).tolist()
    return {v: Marked(sets.mark(rows[starts[v] : starts[v + 1]], n), int(sizes[v])) for v in common}


def _in_all(found: list[Selected], n: int, sets: ModuleType) -> Selected:
    """Return the rows in all of several sets: those of the smallest are looked at one by one, if it is a list."""
    rarest, *others = sorted(found, key=lambda one: one.count)
    if rarest.places is None:
        words = reduce(np.bitwise_and, [one.words for one in found])
        return Marked(words, sets.count(words))
    rows = rarest.places
    for other in others:
        rows = sets.keep_marked(rows, other.words)
    return Listed(rows, n, sets)


class NullIndex:
    """Where a column that filters can't compare is missing."""

    def __init__(self, column: pa.ChunkedArray, sets: ModuleType) -> None:
        """Look at ``column``."""
        self.n = len(column)
        self.null = bitmaps.pack(column.is_null().to_numpy())
        self._nulls = Marked(self.null, sets.count(self.null))

    def select(self, condition: Predicate) -> Selected:
        """Return where the column is null; ``check`` lets no other condition through."""
        return self._nulls


class AttributeIndex:
    """The indexes of all columns of a table of n rows. Building takes O(n log n) per column, on its first use.

    ``compiled`` False keeps to NumPy.
    """

    def __init__(self, table: pa.Table, *, compiled: bool = True) -> None:
        """Take the table; a column is indexed when a filter first names it."""
        self.table = table
        self.schema = Schema.of(table)
        self.sets = functions(compiled=compiled)
        self._n = len(table)
        self._columns: dict[str, ValueIndex | SetIndex | NullIndex] = {}

    def passing(self, expression: Expr) -> Words:
        """Return the rows for which a checked expression is true, as bits."""
        return self.select(expression).words

    def select(self, expression: Expr) -> Selected:
        """Return the rows for which a checked expression is true; what is false is not asked where nothing needs it."""
        kind = type(expression)
        if kind is And:
            return self._select_all(expression.parts)  # type: ignore[attr-defined]
        if kind is Or:
            words = reduce(np.bitwise_or, [self.passing(part) for part in expression.parts])  # type: ignore[attr-defined]
        elif kind is Not or kind is Constant:
            words = self.truth(expression).yes
        else:
            return self._column(expression.column).select(expression)  # type: ignore[attr-defined, arg-type]
        return Marked(words, self.sets.count(words))

    def _select_all(self, parts: Sequence[Expr]) -> Selected:
        """Return the rows that pass all parts: those of the rarest are looked at one by one, if they are few."""
        n, listed, ordered = self._n, None, True
        ranges: list[tuple[int, ValueIndex, int, int]] = []
        rest: list[Selected] = []
        for part in parts:
            column = self._column(part.column) if hasattr(part, "column") else None
            between = column.between(part) if type(column) is ValueIndex else None  # type: ignore[arg-type]
            if between is not None:
                ranges.append((column.held(*between), column, *between))  # type: ignore[union-attr, arg-type]
                continue
            one = self.select(part)
            rest.append(one)
            if isinstance(one, Listed) and (listed is None or one.count < listed.count):
                listed = one
        ranges.sort(key=itemgetter(0))
        if ranges and (listed is None or ranges[0][0] < listed.count) and DENSE * ranges[0][0] <= n:
            _, column, low, high = ranges.pop(0)
            rows, ordered, listed = column.rows(low, high), high <= low + 1, None
        elif listed is not None:
            rows = listed.places
        else:
            return _in_all([*rest, *(column.slice(low, high) for _, column, low, high in ranges)], n, self.sets)
        for _, column, low, high in ranges:
            rows = column.kept(rows, low, high)
        for one in rest:
            if one is not listed:
                rows = self.sets.keep_marked(rows, one.words)
        return Listed(rows, n, self.sets) if ordered else in_order(rows, n, self.sets)

    def truth(self, expression: Expr) -> Truth:
        """Return where a checked expression is true and where it is false; O(n / 64) per connective."""
        n = len(self.table)
        if isinstance(expression, Predicate):
            return _truth(self._column(expression.column), expression)
        if isinstance(expression, Constant):
            sides = bitmaps.full(n), bitmaps.empty(n)
            return Truth(*(sides if expression.value else sides[::-1]))
        if isinstance(expression, Not):
            part = self.truth(expression.part)
            return Truth(part.no, part.yes)
        assert isinstance(expression, And | Or)  # noqa: S101  there are no other nodes
        parts = [self.truth(part) for part in expression.parts]
        join, split = (
            (np.bitwise_and, np.bitwise_or) if isinstance(expression, And) else (np.bitwise_or, np.bitwise_and)
        )
        return Truth(reduce(join, (part.yes for part in parts)), reduce(split, (part.no for part in parts)))

    def _column(self, name: str) -> ValueIndex | SetIndex | NullIndex:
        found = self._columns.get(name)
        if found is None:
            column, kind = self.table[name], self.schema.kinds[name]
            if kind is Kind.OTHER:
                found = NullIndex(column, self.sets)
            elif kind is Kind.TEXTS:
                found = SetIndex(column, self.sets)
            else:
                if pa.types.is_floating(column.type):
                    column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
                    column = pc.add(column, pa.scalar(0.0, column.type))  # two zeros would be two values
                found = ValueIndex(name, column, self.sets)
            self._columns[name] = found
        return found


def _truth(column: ValueIndex | SetIndex | NullIndex, condition: Predicate) -> Truth:
    """Return where a condition on a column holds: nowhere for rows without a value, unless it asks for these."""
    if isinstance(condition, IsNull):
        return Truth(column.null, bitmaps.complement(column.null, column.n))
    yes = column.select(condition).words
    return Truth(yes, bitmaps.complement(yes | column.null, column.n))
