"""The fields of rows at the door of a store: all there, of the right types, of values that every engine can hold."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spaceform.errors import InputError
from spaceform.search.attributes import Kind, Schema
from spaceform.search.stores.collection import Collection, FieldType
from spaceform.space_rows import check_attributes


def check_fields(fields: Any, n: int, collection: Collection) -> pa.Table:
    """Return the fields of ``n`` rows as a table in the collection's schema.

    Takes a mapping of columns or a table; None, NaN and NaT are missing. Raises ``InputError`` for fields that are
    missing or unknown, values of another type or out of its range, and text with NUL, which not every engine can hold.
    """
    columns = check_attributes(fields, n, reserved=())
    missing, unknown = set(collection.fields) - set(columns), set(columns) - set(collection.fields)
    if missing or unknown:
        there = ", ".join(map(repr, collection.fields)) or "none"
        got = f"the field {min(unknown)!r}" if unknown else f"no field {min(missing)!r}"
        raise InputError("fields", got=got, expected=f"those of the collection: {there}")
    arrays = [_fitted(columns[name], name, kind) for name, kind in collection.fields.items()]
    return pa.table(arrays, schema=collection.arrow)


def _fitted(column: pa.ChunkedArray, name: str, kind: FieldType) -> pa.ChunkedArray:
    label = f"fields[{name!r}]"
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), kind.arrow)])
    found = Schema.of(pa.table({"": column})).kinds[""]
    widens = kind is FieldType.TIMESTAMP and found is Kind.DATE
    if found is not kind.kind and not widens:
        raise InputError(label, got=f"a column of {found}", expected=f"{kind} values")
    if kind is FieldType.TIMESTAMP and getattr(column.type, "tz", None):
        column = column.cast(pa.timestamp(column.type.unit))  # to UTC, without a zone
    try:
        fitted = column.cast(kind.arrow)
    except pa.ArrowException as error:
        raise InputError(label, got=str(error).split("\n", 1)[0], expected=f"values that fit {kind.arrow}") from error
    if kind is FieldType.REAL:
        return pc.add(fitted, pa.scalar(0.0))  # -0.0 is 0.0, but not to every engine
    if kind in (FieldType.TEXT, FieldType.TEXTS):
        texts = fitted if kind is FieldType.TEXT else pc.list_flatten(fitted)
        if pc.any(pc.match_substring(texts, "\0")).as_py():
            raise InputError(label, got="text with a NUL character", expected="text without")
    return fitted
