"""A write-ahead log: changes appended, flushed to the disk before they are acknowledged, read back after a crash.

A record is ``magic, kind, number, length, checksum`` and that many bytes. Records are numbered from 0. A process that
dies while it writes leaves a part of the last record, which was never acknowledged: it is dropped. Anything else that
does not fit is damage, and refused.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spaceform.errors import SpaceFormatError
from spaceform.space_rows import ID, VECTOR
from spaceform.types import IntArray

PUT, DELETE = b"P", b"D"
"""Kinds of records: rows added or replaced, and rows deleted."""

_MAGIC = b"SFJ1"
_HEAD = struct.Struct("<4scQQI")
_UNWRITTEN = bytes(512)
"""A sector that a file system promised but never wrote reads as zeros."""


class Journal:
    """An open log. ``append`` returns when the record is on the disk."""

    def __init__(self, path: Path, *, number: int, size: int) -> None:
        """Open the log at ``path``, whose ``number`` whole records take ``size`` bytes; drop what follows them."""
        self.path = path
        self._number, self._size = number, size
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if os.fstat(self._file).st_size != size:
            os.ftruncate(self._file, size)
            os.fsync(self._file)

    def append(self, kind: bytes, payload: bytes) -> None:
        """Write one record durably. If that fails (a full disk) the log is as before, and the error passes on."""
        body = _body(kind, self._number, payload)
        record = memoryview(_HEAD.pack(_MAGIC, kind, self._number, len(payload), zlib.crc32(body)) + payload)
        try:
            written = 0
            while written < len(record):
                written += os.pwrite(self._file, record[written:], self._size + written)
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._number += 1
        self._size += len(record)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def read_journal(path: Path) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield ``(kind, payload, end)`` of every whole record; ``end`` is where it ends in the file.

    Raises ``SpaceFormatError`` that names the file for damage other than a last record that is cut off.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SpaceFormatError(f"{path}: can't be read ({error.strerror})") from error
    start, number = 0, 0
    while start < len(data):
        if len(data) - start < _HEAD.size:
            return
        magic, kind, own, length, checksum = _HEAD.unpack_from(data, start)
        end = start + _HEAD.size + length
        rest = data[start:]
        if magic != _MAGIC or own != number or kind not in (PUT, DELETE):
            if _UNWRITTEN in rest[:1024] and not rest.strip(b"\0"):
                return
            raise _damaged(path, start)
        if end > len(data):
            return
        payload = data[start + _HEAD.size : end]
        if zlib.crc32(_body(kind, number, payload)) != checksum:
            if end == len(data) and _UNWRITTEN in payload:
                return
            raise _damaged(path, start)
        yield kind, payload, end
        start, number = end, number + 1


def pack_rows(ids: IntArray, rows: NDArray[np.float32], table: pa.Table) -> bytes:
    """Return rows with their attributes as an Arrow stream."""
    flat = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    return _packed(table.set_column(table.column_names.index(ID), ID, pa.array(ids)).append_column(VECTOR, flat))


def unpack_rows(payload: bytes) -> tuple[IntArray, NDArray[np.float32], pa.Table]:
    """Return what `pack_rows` packed."""
    table = _unpacked(payload)
    vectors = table[VECTOR].combine_chunks()
    rows = vectors.flatten().to_numpy().reshape(len(table), -1).copy()
    return table[ID].to_numpy().copy(), rows, table.drop_columns([VECTOR])


def pack_ids(ids: IntArray) -> bytes:
    """Return ids as bytes."""
    return _packed(pa.table({ID: ids}))


def unpack_ids(payload: bytes) -> IntArray:
    """Return what `pack_ids` packed."""
    return _unpacked(payload)[ID].to_numpy().copy()


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _unpacked(payload: bytes) -> pa.Table:
    with pa.ipc.open_stream(pa.BufferReader(payload)) as reader:
        return reader.read_all().combine_chunks()


def _body(kind: bytes, number: int, payload: bytes) -> bytes:
    return kind + number.to_bytes(8, "little") + len(payload).to_bytes(8, "little") + payload


def _damaged(path: Path, start: int) -> SpaceFormatError:
    return SpaceFormatError(f"{path}: the record at byte {start:,} is not what was written; restore the file")
