"""Attributes as labels: a row has a label for every value that it holds in one of the chosen columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spaceform.errors import InputError
from spaceform.search.attributes import Kind, Schema, readable
from spaceform.search.filters import And, Comparison, Constant, Contains, Expr, In, Predicate
from spaceform.space_rows import ID
from spaceform.types import IntArray

_MAX_LABELS = 16_384
"""Labels are bits of every row: more would cost more memory than the vectors."""


class Labels:
    """The labels of n rows in some columns: numbered column by column, value by value.

    ``bits (n, words)`` uint64 has a bit for each label of a row, ``codes (n, columns)`` int32 the number of the value
    within a column with one value per row (-1: missing; 0 in columns of lists).
    """

    def __init__(self, table: pa.Table, columns: Sequence[str] | None) -> None:
        """Number the values of ``columns`` (None: all that hold text, truth values or lists of texts)."""
        schema = Schema.of(table)
        chosen = _default(schema) if columns is None else list(columns)
        self.columns = chosen
        self._first: dict[str, int] = {}
        self._values: dict[str, pa.Table | dict[str, int]] = {}
        owners, labels, codes, total = [], [], [], 0
        for name in chosen:
            if name not in schema.kinds or schema.kinds[name] is Kind.OTHER:
                raise InputError("columns", got=repr(name), expected="columns of comparable values")
            rows, numbers, count = self._numbered(name, readable(table, name), lists=schema.kinds[name] is Kind.TEXTS)
            column = np.full(len(table), -1, np.int32)
            column[rows] = 0 if schema.kinds[name] is Kind.TEXTS else numbers
            codes.append(column)
            self._first[name] = total
            owners.append(rows)
            labels.append(numbers + total)
            total += count
        if total > _MAX_LABELS or not total:
            raise InputError("columns", got=f"{total} values in {chosen}", expected=f"1 to {_MAX_LABELS} values")
        self.n, self.count = len(table), total
        self._owners, self._labels = np.concatenate(owners), np.concatenate(labels)
        self.codes = np.stack(codes, axis=1)
        self.bits = np.zeros((self.n, -(-total // 64)), np.uint64)
        np.bitwise_or.at(self.bits, (self._owners, self._labels // 64), _bit(self._labels))

    def members(self) -> Iterator[IntArray]:
        """Yield the rows of each label, ascending."""
        order = np.lexsort((self._owners, self._labels))
        yield from np.split(self._owners[order], np.cumsum(np.bincount(self._labels, minlength=self.count))[:-1])

    def any_of(self, expression: Expr) -> IntArray:
        """Return the labels of which a condition asks for one: ``= value``, ``IN``, ``CONTAINS``, ``CONTAINS ANY``."""
        if isinstance(expression, Contains) and (not expression.every) and expression.column in self._first:
            return self._found(expression)
        if _asks_equal(expression) and expression.column in self._first:  # type: ignore[attr-defined]
            return self._found(expression)
        raise self._refused(expression, "one column = value, IN (...), CONTAINS or CONTAINS ANY")

    def all_of(self, expression: Expr) -> IntArray | None:
        """Return the labels of which a condition asks for all: ``= value``, ``CONTAINS (ALL)``, AND of such.

        None if one of them is held by no row.
        """
        found: list[IntArray] = []
        for part in _parts(expression):
            single = isinstance(part, Comparison) and part.operator == "="
            listed = isinstance(part, Contains) and (part.every or len(part.texts) == 1)
            if not (single or listed) or part.column not in self._first:  # type: ignore[attr-defined]
                raise self._refused(part, "= value, CONTAINS or CONTAINS ALL, joined by AND")
            labels = self._found(part)
            if len(labels) < (len(set(part.texts)) if isinstance(part, Contains) else 1):
                return None
            found.append(labels)
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)

    def equal_to(self, expression: Expr) -> NDArray[np.int32] | None:
        """Return the value ``(columns,)`` that a condition asks for in each column, -1 for any: ``=`` joined by AND.

        None if no row can pass: a value that is not there, or two for one column.
        """
        wanted = np.full(len(self.columns), -1, np.int32)
        for part in _parts(expression):
            if not (isinstance(part, Comparison) and part.operator == "=") or part.column not in self._first:
                raise self._refused(part, "= value, joined by AND")
            place, found = self.columns.index(part.column), self._found(part)
            if not len(found) or wanted[place] not in (-1, found[0] - self._first[part.column]):
                return None
            wanted[place] = found[0] - self._first[part.column]
        return wanted

    def words(self, labels: IntArray) -> NDArray[np.uint64]:
        """Return some labels as bits ``(words,)``."""
        bits = np.zeros(self.bits.shape[1], np.uint64)
        np.bitwise_or.at(bits, labels // 64, _bit(labels))
        return bits

    def _numbered(self, name: str, column: pa.ChunkedArray, *, lists: bool) -> tuple[IntArray, IntArray, int]:
        """Return rows and numbers of their values, and how many values there are; missing ones have none."""
        whole = column.combine_chunks()
        owners = pc.list_parent_indices(whole).to_numpy() if lists else np.arange(len(whole))
        encoded = pc.dictionary_encode(whole.flatten() if lists else whole)
        numbers = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        if lists:
            self._values[name] = {text: number for number, text in enumerate(encoded.dictionary.to_pylist())}
        else:
            self._values[name] = pa.table({name: encoded.dictionary})
        return owners[numbers >= 0].astype(np.int64), numbers[numbers >= 0], len(encoded.dictionary)

    def _found(self, condition: Expr) -> IntArray:
        assert isinstance(condition, Predicate)  # noqa: S101  the callers looked
        values = self._values[condition.column]
        if isinstance(values, dict):
            assert isinstance(condition, Contains)  # noqa: S101  check() lets nothing else through
            numbers: Any = sorted({values[text] for text in condition.texts if text in values})
        else:
            numbers = np.flatnonzero(condition.truth(values).combine_chunks().to_numpy(zero_copy_only=False))
        return np.asarray(numbers, np.int64) + self._first[condition.column]

    def _refused(self, expression: Expr, expected: str) -> InputError:
        return InputError(
            "where", got=str(expression), expected=f"{expected}, on {', '.join(self.columns)}",
            remedy="the method was built for these alone",
        )  # fmt: skip


def _default(schema: Schema) -> list[str]:
    kinds = (Kind.TEXT, Kind.BOOLEAN, Kind.TEXTS)
    found = [name for name, kind in schema.kinds.items() if kind in kinds and name != ID]
    if not found:
        raise InputError("attributes", got="no column of text", expected="one at least", remedy="name columns")
    return found


def _asks_equal(expression: Expr) -> bool:
    return isinstance(expression, In) or (isinstance(expression, Comparison) and expression.operator == "=")


def _parts(expression: Expr) -> Sequence[Expr]:
    """Return what a conjunction joins; nothing where all rows pass."""
    if isinstance(expression, Constant) and expression.value:
        return ()
    return expression.parts if isinstance(expression, And) else (expression,)


def _bit(labels: IntArray) -> NDArray[np.uint64]:
    return np.uint64(1) << (labels % 64).astype(np.uint64)
