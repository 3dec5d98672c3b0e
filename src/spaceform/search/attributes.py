"""Kinds of attributes: what a filter may ask of a column, and the columns that a table has."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc


class Kind(StrEnum):
    """The kind of a column or a literal; the value is its name in messages."""

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TEXTS = "list of texts"
    OTHER = "other"


@dataclass(frozen=True)
class Schema:
    """The columns that a filter may name, with their kinds."""

    kinds: Mapping[str, Kind]

    @classmethod
    def of(cls, source: pa.Table | pa.Schema) -> Schema:
        """Read the kinds off an Arrow table or schema."""
        schema = source if isinstance(source, pa.Schema) else source.schema
        return cls({field.name: _kind(field.type) for field in schema})

    def near(self, name: str) -> list[str]:
        """Return up to three column names that look like ``name``, case aside."""
        folded = {column.casefold(): column for column in self.kinds}
        return [folded[match] for match in difflib.get_close_matches(name.casefold(), folded, n=3)]


def readable(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column in the form that the kernels take.

    Text is ``string``, lists of texts ``list<string>``; floats have null in the place of NaN; dates are int32 days
    and timestamps int64 counts of their unit, both since 1970 (UTC).
    """
    column = table[name]
    kind = _kind(column.type)
    if kind is Kind.TEXT and column.type != pa.string():
        return column.cast(pa.string())
    if kind is Kind.TEXTS and column.type != pa.list_(pa.string()):
        return column.cast(pa.list_(pa.string()))
    if kind is Kind.DATE:
        return column.cast(pa.date32()).cast(pa.int32())
    if kind is Kind.TIMESTAMP:
        return column.cast(pa.int64())
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float32()) if pa.types.is_float16(column.type) else column
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column


def _kind(kind: pa.DataType) -> Kind:
    is_ = pa.types
    if is_.is_dictionary(kind):
        return Kind.TEXT if _kind(kind.value_type) is Kind.TEXT else Kind.OTHER
    if is_.is_integer(kind) or is_.is_floating(kind):
        return Kind.NUMBER
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
        return Kind.TEXT
    if is_.is_list(kind) or is_.is_large_list(kind):
        return Kind.TEXTS if _kind(kind.value_type) is Kind.TEXT else Kind.OTHER
    simple = {is_.is_boolean: Kind.BOOLEAN, is_.is_date: Kind.DATE, is_.is_timestamp: Kind.TIMESTAMP}
    return next((found for test, found in simple.items() if test(kind)), Kind.OTHER)
