"""Columns of an Arrow table: which hold vectors or text, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spaceform.checks import check_matrix
from spaceform.data.layouts.source import shown
from spaceform.data.layouts.vectors import LABEL_NAMES
from spaceform.errors import InputError
from spaceform.types import FloatArray

ID = "id"


def known_column(table: pa.Table, name: str, argument: str) -> str:
    """Return ``name`` if the table has such a column; else raise an ``InputError`` that lists the columns."""
    if name not in table.column_names:
        raise InputError(argument, got=repr(name), expected=f"one of {listed(table)}")
    return name


def number_list_columns(table: pa.Table) -> list[str]:
    """Return the columns that hold a list of numbers per row (in CSV: text that starts with a bracket)."""
    return [name for name in table.column_names if _holds_vectors(table.column(name))]


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is text, plain or as categories."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def listed(table: pa.Table) -> str:
    """Return the columns with their types, for an error."""
    shown_names = [f"{field.name!r} ({field.type})" for field in table.schema][:20]
    more = f" and {table.num_columns - 20} more" if table.num_columns > 20 else ""
    return ", ".join(shown_names) + more


def wide_vectors(table: pa.Table, names: Sequence[str], asked: str) -> FloatArray:
    """Return (n, d) from d columns of one number each; ``asked`` is the pattern that chose them."""
    wrong = [name for name in names if not _is_number(table.schema.field(name).type)]
    if not names or wrong:
        got = f"{asked!r}, which meets {wrong[0]!r}, no column of numbers" if wrong else f"{asked!r}, which meets none"
        raise InputError(
            "vector_columns", got=got, expected=f"a prefix or pattern of number columns in {listed(table)}"
        )
    for name in names:
        _no_nulls(table.column(name), f"column {name!r}")
    return check_matrix(np.column_stack([table.column(name).to_numpy() for name in names]), f"columns {asked!r}")


def nested_vectors(column: pa.ChunkedArray, title: str) -> FloatArray:
    """Return (n, d) from a column of n lists of d numbers, or of text that spells such lists."""
    _no_nulls(column, title)
    if is_text(column.type):
        column = _parse_lists(column, title)
    if not (_is_list(column.type) and _is_number(column.type.value_type)):
        raise InputError(title, got=f"a column of {column.type}", expected="a list of numbers per row")
    widths = np.concatenate([pc.list_value_length(chunk).to_numpy() for chunk in column.chunks])
    ragged = np.flatnonzero(widths != widths[0])
    if ragged.size:
        row = int(ragged[0])
        raise InputError(
            title, got=f"{widths[0]} numbers in row 0 but {widths[row]} in row {row}", expected="one length"
        )
    values = [chunk.flatten() for chunk in column.chunks]
    for chunk in values:
        _no_nulls(chunk, title, width=int(widths[0]))
    flat = np.concatenate([chunk.to_numpy(zero_copy_only=False) for chunk in values])
    return check_matrix(flat.reshape(len(widths), int(widths[0])), title)


def _parse_lists(column: pa.ChunkedArray, title: str) -> pa.ChunkedArray:
    rows = []
    for row, text in enumerate(column.to_pylist()):
        try:
            rows.append([float(value) for value in json.loads(text)])
        except (ValueError, TypeError) as error:
            raise InputError(
                title, got=f"{text[:40]!r} in row {row}", expected="a list like [0.1, 0.2]", remedy="use Parquet"
            ) from error
    return pa.chunked_array([pa.array(rows, pa.list_(pa.float64()))])


def _no_nulls(column: pa.Array | pa.ChunkedArray, title: str, *, width: int = 1) -> None:
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null()))[0]) // width
        raise InputError(
            title, got=f"a missing value in row {row}", expected="numbers", remedy="drop or fill such rows"
        )


def label_column(rest: pa.Table, label: str | None) -> str | None:
    """Return the asked label column, or the one that is called as labels are, or None."""
    if label is not None:
        return known_column(rest, label, "label")
    return next((name for name in LABEL_NAMES if name in rest.column_names), None)


def id_column(rest: pa.Table, ids: str | None, place: Path) -> list[str] | None:
    """Return the ids as text, refused when one is missing or comes twice; None without such a column."""
    if ids is None and ID not in rest.column_names:
        return None
    name = known_column(rest, ids or ID, "ids")
    _no_nulls(rest.column(name), f"{shown(place)}[{name!r}]")
    values = [str(value) for value in rest.column(name).to_pylist()]
    first: dict[str, int] = {}
    for row, value in enumerate(values):
        if first.setdefault(value, row) != row:
            raise InputError(
                f"{shown(place)}[{name!r}]",
                got=f"{value!r} in row {first[value]} and again in row {row}",
                expected="every id once",
                remedy="drop the repeated rows, or rename the column so that rows are numbered",
            )
    return values


def attribute_columns(rest: pa.Table, label: str | None, ids: str | None) -> dict[str, pa.ChunkedArray]:
    """Return what is left beside vectors, texts and ids; whole-number labels of -1 become missing."""
    columns = {name: rest.column(name) for name in rest.column_names if name != (ids or ID)}
    if label is not None and pa.types.is_signed_integer(columns[label].type):  # -1 is how arrays say "unlabelled"
        labels = columns[label]
        columns[label] = pc.if_else(pc.equal(labels, -1), pa.scalar(None, labels.type), labels)
    return columns


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _holds_vectors(column: pa.ChunkedArray) -> bool:
    if _is_list(column.type):
        return _is_number(column.type.value_type)
    return is_text(column.type) and str(column[0].as_py() or "").lstrip().startswith("[")
