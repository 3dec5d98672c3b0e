"""What may stand in a row of a Space: vectors, ids, attributes and pictures, checked once at the door."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from spaceform.checks import check_choice, check_matrix
from spaceform.errors import InputError
from spaceform.types import FloatArray

ID, VECTOR, PICTURE = "id", "vector", "picture"
RESERVED = (ID, VECTOR, PICTURE)
ID_FIELD = pa.field(ID, pa.string(), nullable=False)
GEOMETRIES = ("euclidean", "sphere", "poincare")
UNIT_TOLERANCE = 1e-3
"""How far from 1 the norm of a row on the sphere may be: float16 embeddings are off by up to about 5e-4."""

SET_TYPE = pa.list_(pa.field("element", pa.string()))
"""The type of set-valued attributes (keywords, tags): a list of strings, as Parquet names its parts."""

_CHUNK = 16_384

_KINDS = {
    "bool": "boolean", "bool_": "boolean", "str": "text", "str_": "text", "date": "date", "datetime": "timestamp",
    "Timestamp": "timestamp", "float": "number", "int": "number", "Decimal": "number", "list": "list",
    "tuple": "list", "set": "list", "frozenset": "list", "ndarray": "list",
}  # fmt: skip
_MISSING = frozenset({"NoneType", "NAType", "NaTType"})


def check_vectors(vectors: ArrayLike, geometry: str) -> FloatArray:
    """Return ``vectors`` as a finite float32 array ``(n, d)`` which lies in ``geometry``; no copy if it is one already.

    Raises ``InputError`` for an unknown geometry, no rows, NaN, infinities (also those that float32 would make),
    rows off the unit sphere by more than 1e-3 and rows outside the open Poincare ball. O(n d).
    """
    check_choice(geometry, "geometry", GEOMETRIES)
    matrix = check_matrix(vectors, "vectors")
    if matrix.dtype != np.float32:
        if np.abs(matrix).max() > np.finfo(np.float32).max:
            raise InputError("vectors", got="values beyond float32", expected="values below 3.4e38", remedy="rescale")
        matrix = matrix.astype(np.float32)
    matrix = np.ascontiguousarray(matrix)
    if geometry == "euclidean":
        return matrix
    norms = np.sqrt(np.einsum("nd,nd->n", matrix, matrix, dtype=np.float64))
    if geometry == "sphere":
        outside = np.abs(norms - 1) > UNIT_TOLERANCE
        expected, remedy = "rows of norm 1 (within 0.001)", "divide every row by its norm, or say geometry='euclidean'"
    else:
        outside = norms >= 1
        expected, remedy = "rows of norm below 1", "project them into the ball, or say geometry='euclidean'"
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError("vectors", got=f"norm {norms[row]:.6g} in row {row}", expected=expected, remedy=remedy)
    return matrix


def check_ids(ids: ArrayLike | Sequence[object] | None, n: int) -> pa.ChunkedArray:
    """Return ``n`` unique, non-empty string ids; None numbers the rows from "0", integers become decimal strings."""
    if ids is None:
        return pa.chunked_array([pa.array(np.arange(n).astype(str))])
    values = ids.to_pylist() if isinstance(ids, pa.Array | pa.ChunkedArray) else _listed(ids, "ids")
    _check_length("ids", len(values), n)
    for row, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, str | int | np.integer):
            raise InputError("ids", got=f"{value!r} in row {row}", expected="strings or integers")
        if value == "" or "\0" in str(value):
            raise InputError("ids", got=f"{value!r} in row {row}", expected="non-empty text without NUL")
    column = _settled("ids", _to_arrow("ids", [str(value) for value in values]))
    if len(pc.unique(column)) < n:
        seen: set[str] = set()
        for row, value in enumerate(map(str, values)):
            if value in seen:
                raise InputError("ids", got=f"{value!r} again in row {row}", expected="every id once")
            seen.add(value)
    return column


def check_pictures(pictures: Sequence[bytes | None] | pa.ChunkedArray | None, n: int) -> pa.ChunkedArray | None:
    """Return encoded pictures (PNG bytes, or None where a row has none) as a binary column, or None without any."""
    if pictures is None:
        return None
    _check_length("pictures", len(pictures), n)
    if isinstance(pictures, pa.ChunkedArray) and pictures.type == pa.binary():
        return pictures
    for row, picture in enumerate(pictures):
        if picture is not None and not isinstance(picture, bytes):
            raise InputError("pictures", got=f"{type(picture).__name__} in row {row}", expected="bytes or None")
    return pa.chunked_array([pa.array(pictures[i : i + _CHUNK], pa.binary()) for i in range(0, n, _CHUNK)])


def light_table(ids: Any, attributes: Any, n: int) -> pa.Table:
    """Return the Arrow table of ids and attributes."""
    columns = check_attributes(attributes, n)
    fields = [ID_FIELD, *(pa.field(name, column.type) for name, column in columns.items())]
    return pa.Table.from_arrays([check_ids(ids, n), *columns.values()], schema=pa.schema(fields))


def check_attributes(attributes: Any, n: int, *, reserved: Sequence[str] = RESERVED) -> dict[str, pa.ChunkedArray]:
    """Return the attributes as Arrow columns of settled types.

    Takes a mapping of names to sequences, an Arrow table, or any data frame that speaks the Arrow interface.
    Text, integers, floats, booleans, dates, timestamps and lists (or sets) of text are kept; decimals become
    float64, half floats float32, categories text, zoned timestamps UTC. Missing values (None, NaN, NaT) are null.
    Raises ``InputError`` for other types, mixed types (naming the first row), wrong lengths and ``reserved`` names.
    """
    if attributes is None:
        return {}
    if isinstance(attributes, Mapping):
        names, values = list(attributes), list(attributes.values())
    elif isinstance(attributes, pa.Table) or hasattr(attributes, "__arrow_c_stream__"):
        table = pa.table(attributes)
        names, values = table.column_names, table.columns
    else:
        raise InputError("attributes", got=type(attributes).__name__, expected="a mapping of columns or a table")
    columns: dict[str, pa.ChunkedArray] = {}
    for name, column in zip(names, values, strict=True):
        _check_name(name, columns, reserved)
        arrow = column if isinstance(column, pa.ChunkedArray) else _to_arrow(name, column)
        _check_length(f"attributes[{name!r}]", len(arrow), n)
        columns[name] = _settled(f"attributes[{name!r}]", arrow)
    return columns


def as_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column as a NumPy array of its own kind; nulls are NaN, NaT or, in object arrays, None.

    Text is an object array of str, sets one of tuples, integers with nulls float64, booleans with nulls objects.
    """
    kind = column.type
    if pa.types.is_list(kind):
        result = np.empty(len(column), dtype=object)
        result[:] = [None if values is None else tuple(values) for values in column.to_pylist()]
        return result
    if pa.types.is_date32(kind):
        return column.cast(pa.int32()).cast(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy().view("M8[D]")
    if pa.types.is_integer(kind) and column.null_count:
        return column.cast(pa.float64(), safe=False).to_numpy()
    return column.to_numpy()


def class_codes(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Return ``(codes (n,) int64, class names)`` of a column of any attribute type: null and integer -1 become -1.

    Classes are in the order of their values. Booleans are named ``false`` and ``true``, sets by their JSON text.
    """
    if pa.types.is_list(column.type):
        texts = [None if v is None else json.dumps(v, ensure_ascii=False) for v in column.to_pylist()]
        column = pa.chunked_array([pa.array(texts, pa.string())])
    signed = pa.types.is_signed_integer(column.type)
    values = pc.unique(column).drop_null()
    values = values.take(pc.sort_indices(values))
    if signed:
        values = values.filter(pc.not_equal(values, -1))
    codes = pc.index_in(column, value_set=values).fill_null(-1).to_numpy().astype(np.int64)
    return codes, [_class_name(value) for value in values.to_pylist()]


def row_positions(rows: ArrayLike, n: int, name: str = "rows") -> np.ndarray:
    """Return the int64 positions meant by a boolean mask ``(n,)`` or an array of indices; others are refused."""
    array = np.asarray(rows)
    if array.ndim != 1 or array.dtype.kind not in "biu":
        raise InputError(name, got=f"{array.dtype} of shape {array.shape}", expected="a mask (n,) or a list of indices")
    if array.dtype.kind == "b":
        _check_length(name, len(array), n)
        return np.flatnonzero(array)
    if array.size and (array.min() < 0 or array.max() >= n):
        bad = int(array.min() if array.min() < 0 else array.max())
        raise InputError(name, got=f"index {bad}", expected=f"indices from 0 to {n - 1}")
    return array.astype(np.int64)


def _class_name(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _check_name(name: object, earlier: Mapping[str, object], reserved: Sequence[str]) -> None:
    if not isinstance(name, str) or not name or "\0" in name or not _encodable(name):
        raise InputError("attributes", got=f"a column named {name!r}", expected="non-empty text as a name")
    if name in reserved:
        raise InputError(
            "attributes", got=f"a column named {name!r}", expected="another name",
            remedy=f"{', '.join(reserved)} are the Space's own; pass ids=, vectors or pictures=",
        )  # fmt: skip
    if name in earlier:
        raise InputError("attributes", got=f"two columns named {name!r}", expected="every name once")


def _check_length(name: str, got: int, n: int) -> None:
    if got != n:
        raise InputError(name, got=f"{got} values", expected=f"{n}, one per vector")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _listed(values: Any, name: str) -> list[Any]:
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
        raise InputError(name, got=type(values).__name__, expected="one value per row")
    return list(values)


def _to_arrow(name: str, values: Any) -> pa.ChunkedArray:
    """Turn a sequence into an Arrow column; the error names the first row that does not fit the rows before it."""
    if isinstance(values, pa.Array):
        return pa.chunked_array([values])
    label = name if name == "ids" else f"attributes[{name!r}]"
    typed = isinstance(values, np.ndarray) and values.dtype != object
    if typed and values.ndim != 1:
        raise InputError(label, got=f"an array of shape {values.shape}", expected="one value per row")
    if not typed:
        values = _of_one_kind(label, _listed(values, label))
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, UnicodeError, OverflowError, TypeError, ValueError) as error:
        what = "text that is not valid Unicode" if isinstance(error, UnicodeError) else str(error).split("\n", 1)[0]
        raise InputError(label, got=what, expected="text, numbers, booleans, dates or lists of text") from error
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _of_one_kind(label: str, values: list[Any]) -> list[Any]:
    first: tuple[str, int] | None = None
    for row, value in enumerate(values):
        type_name = type(value).__name__
        if type_name in _MISSING or (isinstance(value, float) and math.isnan(value)):
            continue
        kind = _KINDS.get(type_name) or ("number" if isinstance(value, np.number) else type_name)
        first = first or (kind, row)
        if kind != first[0]:
            raise InputError(
                label, got=f"{kind} in row {row} after {first[0]} in row {first[1]}", expected="one type per column"
            )
    if first and first[0] == "list":
        return [sorted(value) if isinstance(value, set | frozenset) else value for value in values]
    return values


def _settled(label: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cast to one of the attribute types, NaN to null."""
    target = _target(column.type)
    if target is None:
        raise InputError(
            label, got=f"a column of type {column.type}", expected="text, numbers, booleans, dates or lists of text"
        )
    try:
        if column.type != target:
            column = column.cast(target)
        if pa.types.is_floating(target):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, target), column)
        if target == SET_TYPE and any(chunk.flatten().null_count for chunk in column.chunks):
            raise InputError(label, got="a missing value inside a list", expected="lists of text", remedy="drop it")
        column.validate(full=True)
    except pa.ArrowException as error:
        raise InputError(label, got=str(error).split("\n", 1)[0], expected=f"values that fit {target}") from error
    return column


def _target(kind: pa.DataType) -> pa.DataType | None:
    is_ = pa.types
    if is_.is_dictionary(kind):
        return _target(kind.value_type)
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind):
        return SET_TYPE if _target(kind.value_type) == pa.string() else None
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind) or is_.is_null(kind):
        return pa.string()
    if is_.is_decimal(kind):
        return pa.float64()
    if is_.is_float16(kind):
        return pa.float32()
    if is_.is_date(kind):
        return pa.date32()
    if is_.is_timestamp(kind):
        return pa.timestamp("ms" if kind.unit == "s" else kind.unit, "UTC" if kind.tz else None)
    return kind if is_.is_integer(kind) or is_.is_floating(kind) or is_.is_boolean(kind) else None
