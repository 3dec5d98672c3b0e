"""Vectors, ids and attributes at the door of the index."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from spaceform.checks import check_matrix
from spaceform.errors import InputError
from spaceform.ops.pairs import ZERO_NORM
from spaceform.space_rows import ID, check_attributes
from spaceform.types import IntArray

_LARGEST = 1e15
"""Coordinates up to which float32 squares and their sums are far from overflow."""

_FLOAT32 = np.dtype(np.float32)

_SHORT, _LONG = 1e-20, 1e29
"""Squared norms, in float32, between which no coordinate is beyond `_LARGEST`, and every vector has a direction."""


def check_rows(X: ArrayLike, name: str, metric: str, *, width: int | None = None) -> NDArray[np.float32]:
    """Return vectors as a new float32 array ``(n, d)``.

    Raises ``InputError`` for NaN, infinities, coordinates beyond 1e15, another width, and zero vectors under cosine.
    """
    if _is_plain(X, metric, width):
        return X.copy(order="C")
    matrix = check_matrix(X, name, width=width)
    if np.abs(matrix).max() > _LARGEST:
        raise InputError(name, got="coordinates beyond 1e15", expected="smaller values", remedy="rescale")
    rows = np.array(matrix, dtype=np.float32, order="C")
    if metric == "cosine":
        norms = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
        if norms.min() < ZERO_NORM:
            row = int(norms.argmin())
            raise InputError(name, got=f"norm {norms[row]:.3g} in row {row}", expected="rows with a direction")
    return rows


def check_queries(X: ArrayLike, metric: str, *, width: int) -> NDArray[np.float32]:
    """Return queries ``(q, d)`` as `check_rows` returns rows, but as they are where nothing is to be changed."""
    if _is_plain(X, metric, width) and X.flags.carray:
        return X
    return check_rows(X, "queries", metric, width=width)


def _is_plain(X: Any, metric: str, width: int | None) -> TypeGuard[NDArray[np.float32]]:
    """Return whether it is sure, from one look at squared norms, that these are good rows in float32."""
    if type(X) is not np.ndarray or X.dtype != _FLOAT32:
        return False
    shape, least = X.shape, _SHORT if metric == "cosine" else 0.0
    if shape == (1, width):
        row = X[0]
        return least <= float(row.dot(row)) <= _LONG
    if len(shape) != 2 or not X.size or (width is not None and shape[1] != width):
        return False
    squares = np.einsum("nd,nd->n", X, X)
    return bool(squares.min() >= least and squares.max() <= _LONG)


def check_ids(ids: ArrayLike | None, n: int, following: int) -> IntArray:
    """Return ``n`` distinct ids >= 0; None counts on from ``following``."""
    if ids is None:
        return np.arange(following, following + n)
    found = listed_ids(ids)
    if len(found) != n:
        raise InputError("ids", got=f"{len(found)} ids for {n} rows", expected="one per row")
    return found


def listed_ids(ids: ArrayLike) -> IntArray:
    """Return distinct ids >= 0 as int64; others raise ``InputError``."""
    array = np.asarray(ids)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise InputError("ids", got=f"{array.dtype} of shape {array.shape}", expected="a list of integers")
    if array.size and (array.min() < 0 or array.max() >= 2**62):
        raise InputError("ids", got=f"{array.min()} to {array.max()}", expected="ids from 0 to 2^62")
    values, counts = np.unique(array, return_counts=True)
    if (counts > 1).any():
        raise InputError("ids", got=f"{values[counts > 1][0]} twice", expected="every id once")
    return array.astype(np.int64)


def attribute_table(attributes: Any, ids: IntArray) -> pa.Table:
    """Return the ids as column ``id`` and the attributes in settled types, as an Arrow table."""
    return pa.table({ID: as_arrow(ids), **check_attributes(attributes, len(ids))}).combine_chunks()


def as_arrow(ids: IntArray) -> pa.Array:
    """Return a copy of integers; `pyarrow.array` would load pandas, where it is there, to see whether they are its."""
    return pa.Array.from_buffers(pa.int64(), len(ids), [None, pa.py_buffer(ids.astype(np.int64).tobytes())])


def fitted_table(attributes: Any, ids: IntArray, schema: pa.Schema) -> pa.Table:
    """Return ids and attributes of new rows as a table of the columns and types of the index.

    Raises ``InputError`` for columns that are missing or unknown, and values that do not fit the type.
    """
    columns = check_attributes(attributes, len(ids))
    names = [name for name in schema.names if name != ID]
    if set(columns) != set(names):
        raise InputError(
            "attributes", got=f"columns {sorted(columns)}", expected=f"those of the index: {sorted(names)}"
        )
    arrays = [as_arrow(ids), *(fitted(columns[name], schema.field(name)) for name in names)]
    return pa.table(arrays, schema=schema).combine_chunks()


def fitted(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Return a column as the type of ``field``."""
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            f"attributes[{field.name!r}]", got=f"{column.type}", expected=f"{field.type}, as the index has"
        ) from error
