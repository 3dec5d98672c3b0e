"""The heavy columns of a Space, vectors and pictures: each in memory, or still on disk until it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from spaceform.errors import InputError
from spaceform.space_file import StoredRows
from spaceform.space_rows import ID, PICTURE, VECTOR
from spaceform.types import FloatArray, IntArray

ROWS_PER_GROUP = 16_384
"""Rows per row group of the file: the unit in which vectors are streamed."""

_PICTURE_BUDGET = 32 * 2**20
"""Bytes of pictures per row group: one picture is found by reading one group."""


@dataclass
class Payload:
    """Vectors ``(rows, dim)`` and pictures; what is None in memory is read from ``stored``."""

    rows: int
    dim: int
    vectors: FloatArray | None = None
    pictures: pa.ChunkedArray | None = None
    stored: StoredRows | None = None
    _group: tuple[int, pa.ChunkedArray] | None = field(default=None, repr=False)

    @property
    def has_pictures(self) -> bool:
        """Whether rows have pictures."""
        return self.pictures is not None or (self.stored is not None and PICTURE in self.stored.schema.names)

    def on_disk(self) -> StoredRows:
        """Return the file; only rows that were neither given nor opened lack one."""
        if self.stored is None:
            raise InputError("space", got="a Space in memory", expected="an opened one", remedy="save and open it")
        return self.stored

    def matrix(self) -> FloatArray:
        """Return all vectors, and keep them."""
        if self.vectors is None:
            result = np.empty((self.rows, self.dim), dtype=np.float32)
            start = 0
            for block in self.blocks(ROWS_PER_GROUP):
                result[start : start + len(block)] = block
                start += len(block)
            self.vectors = result
        return self.vectors

    def blocks(self, size: int) -> Iterator[FloatArray]:
        """Yield the vectors in blocks of ``size`` rows."""
        if self.vectors is None:
            for batch in self.on_disk().batches([VECTOR], size):
                yield _as_matrix(batch[VECTOR], self.dim)
        else:
            for start in range(0, self.rows, size):
                yield self.vectors[start : start + size]

    def picture(self, row: int) -> bytes | None:
        """Return one picture; from disk, the pictures of its row group are read and kept."""
        if not self.has_pictures:
            return None
        if self.pictures is not None:
            return self.pictures[row].as_py()
        ends = np.cumsum(self.on_disk().group_sizes())
        index = int(np.searchsorted(ends, row, side="right"))
        if self._group is None or self._group[0] != index:
            self._group = (index, self.on_disk().read_group(index, [PICTURE])[PICTURE])
        return self._group[1][row - int(ends[index]) + len(self._group[1])].as_py()

    def take(self, positions: IntArray) -> Payload:
        """Return the rows at ``positions`` in memory; streams what is on disk."""
        vectors, pictures = self.vectors, self.pictures
        on_disk = [VECTOR] * (vectors is None) + [PICTURE] * (pictures is None and self.has_pictures)
        read = self.on_disk().take(positions, on_disk) if on_disk else pa.table({})
        return Payload(
            rows=len(positions),
            dim=self.dim,
            vectors=_as_matrix(read[VECTOR], self.dim) if vectors is None else vectors[positions],
            pictures=read[PICTURE] if PICTURE in on_disk else None if pictures is None else pictures.take(positions),
        )

    def schema(self, table: pa.Table) -> pa.Schema:
        """Return the schema of the file: id, attributes, picture if there are any, vector."""
        fields = [field.with_nullable(field.name != ID) for field in table.schema]
        if self.has_pictures:
            fields.append(pa.field(PICTURE, pa.binary()))
        element = pa.field("element", pa.float32(), nullable=False)
        return pa.schema([*fields, pa.field(VECTOR, pa.list_(element, self.dim), nullable=False)])

    def row_groups(self, table: pa.Table) -> Iterator[pa.Table]:
        """Yield the rows of the file, a row group at a time, joined to the light columns in ``table``."""
        schema = self.schema(table)
        size = self._group_rows()
        pictures = self._picture_blocks(size)
        for index, block in enumerate(self.blocks(size)):
            columns = table.slice(index * size, len(block)).columns
            if self.has_pictures:
                columns.append(next(pictures))
            flat = pa.array(np.ascontiguousarray(block).reshape(-1))
            vector = pa.FixedSizeListArray.from_arrays(flat, type=schema.field(VECTOR).type)
            yield pa.Table.from_arrays([*columns, vector], schema=schema)

    def _picture_blocks(self, size: int) -> Iterator[pa.ChunkedArray]:
        if self.pictures is not None:
            for start in range(0, self.rows, size):
                yield self.pictures.slice(start, size)
        elif self.has_pictures:
            for batch in self.on_disk().batches([PICTURE], size):
                yield batch[PICTURE]

    def _group_rows(self) -> int:
        if not self.has_pictures:
            return ROWS_PER_GROUP
        total = self.pictures.nbytes if self.pictures is not None else self.on_disk().column_bytes(PICTURE)
        return int(np.clip(_PICTURE_BUDGET * self.rows // max(1, total), 64, ROWS_PER_GROUP))


def _as_matrix(column: pa.ChunkedArray, dim: int) -> FloatArray:
    """Copy a column of fixed-size lists into a matrix of its own."""
    result = np.empty((len(column), dim), dtype=np.float32)
    start = 0
    for chunk in column.chunks:
        result[start : start + len(chunk)] = chunk.flatten().to_numpy().reshape(-1, dim)
        start += len(chunk)
    return result
