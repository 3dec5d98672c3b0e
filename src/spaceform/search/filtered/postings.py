"""Attribute indexes: for every distinct value the rows that hold it, so that a filter is counted and never guessed.

A condition is decided once per distinct value, by the code that decides it for whole tables, and the posting lists
of the values that pass become a bitmap. Three-valued logic needs two bitmaps per expression: the rows for which it
is true and those for which it is false; all others are unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spaceform.search.attributes import Kind, Schema
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.search.filters import And, Constant, Contains, Expr, IsNull, Not, Or, Predicate
from spaceform.types import IntArray


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
        self._rows = np.argsort(codes, kind="stable").astype(np.int32)
        self._starts = np.searchsorted(codes[self._rows], np.arange(len(order) + 1))

    def truth(self, condition: Predicate) -> Truth:
        """Return where a condition on this column holds."""
        if isinstance(condition, IsNull):
            return Truth(self.null, bitmaps.complement(self.null, self.n))
        answers = condition.truth(self.values).combine_chunks()
        passing = np.flatnonzero(answers.to_numpy(zero_copy_only=False))
        yes = self._holding(passing)
        return Truth(yes, bitmaps.complement(yes | self.null, self.n))

    def _holding(self, values: IntArray) -> Words:
        """Return the rows that hold one of the values; the longer half is found by leaving out the other."""
        sizes = np.diff(self._starts)
        if 2 * sizes[values].sum() > self.n:
            others = np.setdiff1d(np.arange(len(sizes)), values, assume_unique=True)
            return bitmaps.complement(_scattered(self._rows, self._starts, others, n=self.n) | self.null, self.n)
        return _scattered(self._rows, self._starts, values, n=self.n)


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

    def truth(self, condition: Predicate) -> Truth:
        """Return where a condition on this column holds."""
        if isinstance(condition, IsNull):
            return Truth(self.null, bitmaps.complement(self.null, self.n))
        assert isinstance(condition, Contains)  # noqa: S101  check() lets nothing else through
        found = [self._holding(text) for text in condition.texts]
        yes = reduce(np.bitwise_and if condition.every else np.bitwise_or, found)
        return Truth(yes, bitmaps.complement(yes | self.null, self.n))

    def _holding(self, text: str) -> Words:
        code = self._codes.get(text)
        codes = np.array([] if code is None else [code], dtype=np.int64)
        return _scattered(self._rows, self._starts, codes, n=self.n)


class NullIndex:
    """Where a column that filters can't compare is missing."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        """Look at ``column``."""
        self.n = len(column)
        self.null = bitmaps.pack(column.is_null().to_numpy())

    def truth(self, condition: Predicate) -> Truth:
        """Return where the column is null; ``check`` lets no other condition through."""
        return Truth(self.null, bitmaps.complement(self.null, self.n))


class AttributeIndex:
    """The indexes of all columns of a table of n rows. Building takes O(n log n) per column, on its first use."""

    def __init__(self, table: pa.Table) -> None:
        """Take the table; a column is indexed when a filter first names it."""
        self.table = table
        self.schema = Schema.of(table)
        self._columns: dict[str, ValueIndex | SetIndex | NullIndex] = {}

    def passing(self, expression: Expr) -> Words:
        """Return the rows for which a checked expression is true."""
        return self.truth(expression).yes

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


def _scattered(rows: NDArray[np.integer[Any]], starts: IntArray, values: IntArray, *, n: int) -> Words:
    """Return which of n rows are in the lists of ``values`` (ascending); neighbouring lists are one slice."""
    if not len(values):
        return bitmaps.empty(n)
    if values[-1] - values[0] + 1 == len(values):
        return bitmaps.scattered(rows[starts[values[0]] : starts[values[-1] + 1]], n)
    pieces: Sequence[NDArray[np.integer[Any]]] = [rows[starts[v] : starts[v + 1]] for v in values.tolist()]
    return bitmaps.scattered(np.concatenate(pieces), n)
