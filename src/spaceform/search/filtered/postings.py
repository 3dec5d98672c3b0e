"""Attribute indexes: for every distinct value the rows that hold it, so that a filter is counted and never guessed.

A condition is decided once per distinct value, by the code that decides it for whole tables, and the posting lists
of the values that pass become a bitmap. Three-valued logic needs two bitmaps per expression: the rows for which it
is true and those for which it is false; all others are unknown.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spaceform.search.attributes import Kind, Schema
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.search.filtered.scan.marking import keep_between, mark, mark_between
from spaceform.search.filters import And, Between, Comparison, Constant, Contains, Expr, IsNull, Not, Or, Predicate
from spaceform.types import IntArray

_DENSE = 12
"""A range of more than one row in so many is marked by going through all ranks in order, not through its rows."""


@dataclass(frozen=True)
class Truth:
    """Where an expression is true and where it is false, as disjoint sets of rows; elsewhere it is unknown."""

    yes: Words
    no: Words


class ValueIndex:
    """Posting lists of a column with one value per row: rows sorted by value, with the place where each value starts.

    ``values`` is a table of the distinct values in order. A range of values is one slice of the sorted rows.
    Building takes O(n log n), a lookup O(distinct values + passing rows).
    """

    def __init__(self, name: str, column: pa.ChunkedArray) -> None:
        """Index ``column``, of settled Arrow type without NaN."""
        self.n = len(column)
        encoded = pc.dictionary_encode(column).combine_chunks()
        order = pc.sort_indices(encoded.dictionary)
        self.values = pa.table({name: encoded.dictionary.take(order)})
        rank = np.empty(len(order), dtype=np.int32)
        rank[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        missing = codes < 0
        self.null = bitmaps.pack(missing)
        codes = np.where(missing, len(order), rank[np.maximum(codes, 0)] if len(order) else len(order))
        self._ranks = codes.astype(np.int32)
        self._rows = np.argsort(codes, kind="stable").astype(np.int32)
        self._starts = np.searchsorted(codes[self._rows], np.arange(len(order) + 1))
        self._bitmaps = _frequent(self._rows, self._starts, self.n)
        self._ordered = self.values[name].combine_chunks()
        kind = self._ordered.type
        self._plain = pa.types.is_integer(kind) or pa.types.is_float64(kind) or pa.types.is_string(kind)

    def truth(self, condition: Predicate) -> Truth:
        """Return where a condition on this column holds."""
        if isinstance(condition, IsNull):
            return Truth(self.null, bitmaps.complement(self.null, self.n))
        yes = self.passing(condition)
        return Truth(yes, bitmaps.complement(yes | self.null, self.n))

    def passing(self, condition: Predicate) -> Words:
        """Return the rows for which a condition on this column is true."""
        if isinstance(condition, IsNull):
            return self.null
        between = self.between(condition)
        if between is not None:
            return self._range(*between)
        answers = condition.truth(self.values).combine_chunks()
        holding = np.append(answers.fill_null(False).to_numpy(zero_copy_only=False), False)
        found = np.flatnonzero(holding)
        if not len(found) or found[-1] - found[0] + 1 == len(found):
            return self._range(int(found[0]), int(found[-1]) + 1) if len(found) else bitmaps.empty(self.n)
        return bitmaps.pack(holding[self._ranks])

    def between(self, condition: Predicate) -> tuple[int, int] | None:
        """Return the first rank that passes and the one behind the last, where ranks that pass are neighbours."""
        if not self._plain:
            return None
        if isinstance(condition, Between):
            return self._rank(condition.low.value, bisect_left), self._rank(condition.high.value, bisect_right)
        if not isinstance(condition, Comparison) or condition.operator == "!=":
            return None
        operator, value = condition.operator, condition.value.value
        low, high = 0, len(self._ordered)
        if operator in ("=", ">", ">="):
            low = self._rank(value, bisect_right if operator == ">" else bisect_left)
        if operator in ("=", "<", "<="):
            high = self._rank(value, bisect_left if operator == "<" else bisect_right)
        return low, high

    def _rank(self, value: Any, side: Callable[..., int]) -> int:
        """Return how many values are below ``value`` (`bisect_left`), or not above it (`bisect_right`)."""
        return side(self._listed, value)

    @cached_property
    def _listed(self) -> Any:
        """The distinct values in order, as Python's numbers and texts: those compare without rounding."""
        if self._ordered.type in (pa.int64(), pa.float64()):
            return memoryview(self._ordered.to_numpy(zero_copy_only=False))
        return self._ordered.to_pylist()

    def held(self, low: int, high: int) -> int:
        """Return how many rows have values of ranks from ``low`` to below ``high``."""
        return int(self._starts[max(low, high)] - self._starts[low])

    def rows(self, low: int, high: int) -> NDArray[np.int32]:
        """Return the rows whose values have ranks from ``low`` to below ``high``, sorted by value, then by row."""
        return self._rows[self._starts[low] : self._starts[max(low, high)]]

    def kept(self, rows: NDArray[np.int32], low: int, high: int) -> NDArray[np.int32]:
        """Return those of ``rows`` whose values have ranks from ``low`` to below ``high``; O(rows)."""
        kept: NDArray[np.int32] = keep_between(rows, self._ranks, low, high)
        return kept

    def _range(self, low: int, high: int) -> Words:
        """Return the rows whose values have ranks from ``low`` to below ``high``."""
        if low >= high:
            return bitmaps.empty(self.n)
        if high == low + 1 and low in self._bitmaps:
            return self._bitmaps[low]
        first, last = self._starts[low], self._starts[high]
        if _DENSE * (last - first) > self.n:
            return mark_between(self._ranks, low, high)
        return mark(self._rows[first:last], self.n)


class SetIndex:
    """Posting lists of a column of lists of texts: for each text the rows whose list holds it."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        """Index ``column`` of type list<string>."""
        self.n = len(column)
        lists = column.combine_chunks()
        self.null = bitmaps.pack(lists.is_null().to_numpy(zero_copy_only=False))
        owners = pc.list_parent_indices(lists).to_numpy()
        encoded = pc.dictionary_encode(lists.flatten())
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        order = np.lexsort((owners, codes))
        self._rows = owners[order].astype(np.int32)
        self._codes = {text: code for code, text in enumerate(encoded.dictionary.to_pylist())}
        self._starts = np.searchsorted(codes[order], np.arange(len(self._codes) + 1))
        self._bitmaps = _frequent(self._rows, self._starts, self.n)

    def truth(self, condition: Predicate) -> Truth:
        """Return where a condition on this column holds."""
        if isinstance(condition, IsNull):
            return Truth(self.null, bitmaps.complement(self.null, self.n))
        yes = self.passing(condition)
        return Truth(yes, bitmaps.complement(yes | self.null, self.n))

    def passing(self, condition: Predicate) -> Words:
        """Return the rows for which a condition on this column is true."""
        if isinstance(condition, IsNull):
            return self.null
        assert isinstance(condition, Contains)  # noqa: S101  check() lets nothing else through
        found = [self._holding(text) for text in condition.texts]
        return reduce(np.bitwise_and if condition.every else np.bitwise_or, found)

    def _holding(self, text: str) -> Words:
        code = self._codes.get(text)
        if code is None:
            return bitmaps.empty(self.n)
        if code in self._bitmaps:
            return self._bitmaps[code]
        return mark(self._rows[self._starts[code] : self._starts[code + 1]], self.n)


def _frequent(rows: NDArray[np.int32], starts: IntArray, n: int) -> dict[int, Words]:
    """Return the values, by number, that more rows hold than a bitmap has words of 32 bits, as bitmaps."""
    common = np.flatnonzero(np.diff(starts) > n / 32)
    return {int(value): mark(rows[starts[value] : starts[value + 1]], n) for value in common}


class NullIndex:
    """Where a column that filters can't compare is missing."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        """Look at ``column``."""
        self.n = len(column)
        self.null = bitmaps.pack(column.is_null().to_numpy())

    def truth(self, condition: Predicate) -> Truth:
        """Return where the column is null; ``check`` lets no other condition through."""
        return Truth(self.null, bitmaps.complement(self.null, self.n))

    def passing(self, condition: Predicate) -> Words:
        """Return where the column is null."""
        return self.null


class AttributeIndex:
    """The indexes of all columns of a table of n rows. Building takes O(n log n) per column, on its first use."""

    def __init__(self, table: pa.Table) -> None:
        """Take the table; a column is indexed when a filter first names it."""
        self.table = table
        self.schema = Schema.of(table)
        self._columns: dict[str, ValueIndex | SetIndex | NullIndex] = {}

    def passing(self, expression: Expr) -> Words:
        """Return the rows for which a checked expression is true; what is false is not asked where nothing needs it."""
        if isinstance(expression, Predicate):
            return self._column(expression.column).passing(expression)
        if isinstance(expression, And):
            return self._passing_all(expression)
        if isinstance(expression, Or):
            return reduce(np.bitwise_or, map(self.passing, expression.parts))
        return self.truth(expression).yes

    def _passing_all(self, expression: And) -> Words:
        """Return the rows that pass all parts: those of the rarest range of values are looked at one by one."""
        ranges: list[tuple[int, ValueIndex, tuple[int, int]]] = []
        rest: list[Expr] = []
        for part in expression.parts:
            column = self._column(part.column) if isinstance(part, Predicate) else None
            if type(column) is not ValueIndex or (between := column.between(part)) is None:  # type: ignore[arg-type]
                rest.append(part)
            else:
                ranges.append((column.held(*between), column, between))
        found = [self.passing(part) for part in rest]
        if ranges:
            ranges.sort(key=lambda one: one[0])
            _, column, between = ranges[0]
            rows = column.rows(*between)
            for _, column, between in ranges[1:]:
                rows = column.kept(rows, *between)
            found.append(mark(rows, len(self.table)))
        return reduce(np.bitwise_and, found)

    def truth(self, expression: Expr) -> Truth:
        """Return where a checked expression is true and where it is false; O(n / 64) per connective."""
        n = len(self.table)
        if isinstance(expression, Predicate):
            return self._column(expression.column).truth(expression)
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
        if name not in self._columns:
            column, kind = self.table[name], self.schema.kinds[name]
            if kind is Kind.OTHER:
                self._columns[name] = NullIndex(column)
            elif kind is Kind.TEXTS:
                self._columns[name] = SetIndex(column)
            else:
                if pa.types.is_floating(column.type):
                    column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
                self._columns[name] = ValueIndex(name, column)
        return self._columns[name]
