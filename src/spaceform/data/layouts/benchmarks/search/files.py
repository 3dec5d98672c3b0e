"""Files of vectors and of sparse rows: .fvecs, .ivecs, .u8bin, .fbin, .ibin and .spmat; large ones are mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import IntArray, PathLike

_BIN = {".u8bin": np.uint8, ".i8bin": np.int8, ".fbin": np.float32, ".ibin": np.int32}


def read_vecs(path: PathLike) -> NDArray:
    """Return the rows (n, d) of a .fvecs (float32), .ivecs (int32) or .bvecs (uint8) file, mapped.

    Every row is led by its width as a 32-bit integer. Raises ``InputError`` for rows of several widths (`read_lists`
    reads those) and for a file that ends within a row.
    """
    place = existing(path)
    kind = {".fvecs": np.float32, ".ivecs": np.int32, ".bvecs": np.uint8}.get(place.suffix)
    if kind is None:
        raise InputError("path", got=shown(place), expected="a .fvecs, .ivecs or .bvecs file")
    size = place.stat().st_size
    if size < 4:
        raise InputError("path", got=f"{shown(place)} of {size} bytes", expected="at least one row")
    width = int(np.fromfile(place, "<i4", count=1)[0])
    row = 4 + width * np.dtype(kind).itemsize
    if width < 1 or size % row:
        raise _cut(place, f"{size} bytes, which rows of {width} values do not fill")
    whole = np.memmap(place, np.uint8, mode="r").reshape(-1, row)
    if (np.ascontiguousarray(whole[:, :4]).view("<i4") != width).any():
        raise _cut(place, "rows of several widths")
    if row % np.dtype(kind).itemsize:
        return whole[:, 4:].copy()  # bytes after a 32-bit width
    values = np.memmap(place, kind, mode="r").reshape(len(whole), -1)
    return values[:, 4 // np.dtype(kind).itemsize :]


def read_lists(path: PathLike) -> IntArray:
    """Return the rows of an .ivecs file as (n, longest) int64, shorter ones filled with -1; O(bytes)."""
    place = existing(path)
    flat = np.fromfile(place, "<i4")
    rows, at = [], 0
    while at < len(flat):
        width = int(flat[at])
        if width < 0 or at + 1 + width > len(flat):
            raise _cut(place, f"a row of {width} values at value {at}")
        rows.append(flat[at + 1 : at + 1 + width])
        at += 1 + width
    result = np.full((len(rows), max(map(len, rows), default=0)), -1, dtype=np.int64)
    for place_in, row in enumerate(rows):
        result[place_in, : len(row)] = row
    return result


def read_bin(path: PathLike) -> NDArray:
    """Return the rows (n, d) of a .u8bin, .i8bin, .fbin or .ibin file, mapped: n and d as 32 bits, then the values.

    Raises ``InputError`` for a file of another length than its head says.
    """
    place = existing(path)
    kind = next((kind for ending, kind in _BIN.items() if place.name.endswith(ending)), None)
    if kind is None:
        raise InputError("path", got=shown(place), expected="one of " + ", ".join(_BIN))
    n, d = (int(value) for value in _head(place, "<u4", 2))
    if place.stat().st_size != 8 + n * d * np.dtype(kind).itemsize or not n * d:
        raise _cut(place, f"{place.stat().st_size} bytes for {n} rows of {d}")
    return np.memmap(place, kind, mode="r", offset=8, shape=(n, d))


def read_spmat(path: PathLike) -> csr_array:
    """Return a .spmat file: rows, columns and entries as 64 bits, starts (int64), columns (int32), values (float32).

    Raises ``InputError`` for a file of another length than its head says, and starts or columns out of order or range.
    """
    place = existing(path)
    rows, columns, entries = (int(value) for value in _head(place, "<i8", 3))
    if min(rows, columns, entries) < 0 or place.stat().st_size != 24 + 8 * (rows + 1) + 8 * entries:
        raise _cut(place, f"{place.stat().st_size} bytes for {rows} rows and {entries} entries")
    starts = np.fromfile(place, "<i8", count=rows + 1, offset=24)
    numbers = np.fromfile(place, "<i4", count=entries, offset=24 + 8 * (rows + 1))
    values = np.fromfile(place, "<f4", count=entries, offset=24 + 8 * (rows + 1) + 4 * entries)
    if starts[0] != 0 or starts[-1] != entries or (np.diff(starts) < 0).any():
        raise _cut(place, "row starts that do not ascend to the number of entries")
    if entries and not 0 <= int(numbers.min()) <= int(numbers.max()) < columns:
        raise _cut(place, f"column {numbers.max()} of {columns}")
    return csr_array((values, numbers, starts), shape=(rows, columns))


def _head(place: Path, kind: str, count: int) -> NDArray:
    head = np.fromfile(place, kind, count=count)
    if len(head) < count:
        raise _cut(place, f"{place.stat().st_size} bytes")
    return head


def _cut(place: Path, got: str) -> InputError:
    return InputError("path", got=f"{shown(place)} with {got}", expected="a whole file of its format")
