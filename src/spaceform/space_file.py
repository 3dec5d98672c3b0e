"""The Parquet file of a Space: written once with hashes on the fly, read in pieces that are checked one by one.

Parquet's own page checksums are written, so that any reader can check them, but they do not cover the page
headers, where one flipped bit changes values without a word. Therefore the record of a Space also holds a hash
of every MiB of the file, and whatever is read is compared with it; what is not read costs nothing.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spaceform.errors import SpaceFormatError
from spaceform.space_rows import ID, PICTURE, SET_TYPE, VECTOR
from spaceform.types import IntArray

BLOCK = 2**20
"""Bytes per hash: one MiB adds 32 characters to the record, and a small column costs at most two such reads."""

_DIGEST = 32
"""Hexadecimal digits kept of each block's SHA-256 (128 bits)."""

_MAGIC = b"PAR1"


@dataclass(frozen=True)
class FileFacts:
    """What the record says about the file: its size, the hashes of its footer, of all of it and of each MiB."""

    size: int
    footer: str
    content: str
    blocks: str


@dataclass(frozen=True)
class Tail:
    """The end of a Parquet file as it is on disk: file size, the footer's hash and its bytes."""

    size: int
    footer: str
    content: bytes = field(compare=False, repr=False)

    def agrees(self, facts: FileFacts) -> bool:
        """Whether this is the end of the file that ``facts`` describe."""
        return (self.size, self.footer) == (facts.size, facts.footer)

    def metadata(self) -> pq.FileMetaData:
        """Parse the footer; call it only for one that agrees with a record, for the parser is not made for others."""
        return pq.read_metadata(pa.BufferReader(_MAGIC + self.content))


def write_rows(path: Path, schema: pa.Schema, groups: Iterable[pa.Table]) -> FileFacts:
    """Write ``groups``, one row group each, to ``path`` and flush them to the disk; O(bytes), one group in memory."""
    leaves = {name: _leaf(name, schema.field(name).type) for name in schema.names}
    plain = {VECTOR, PICTURE}  # floats hardly shrink, and pictures come compressed
    with path.open("wb") as file:
        sink = _HashingSink(file)
        with pq.ParquetWriter(
            sink,
            schema,
            write_page_checksum=True,
            compression={leaf: "none" if name in plain else "zstd" for name, leaf in leaves.items()},
            use_dictionary=[leaf for name, leaf in leaves.items() if name not in plain | {ID}],
            write_statistics=[leaf for name, leaf in leaves.items() if name not in plain],
        ) as writer:
            for group in groups:
                writer.write_table(group, row_group_size=max(1, len(group)))
        file.flush()
        os.fsync(file.fileno())
    with path.open("rb") as file:
        tail = read_tail(file, path)
    return FileFacts(tail.size, tail.footer, *sink.digests())


def read_tail(file: BinaryIO, path: Path) -> Tail:
    """Read the footer of an open Parquet file, and nothing else of it; ``SpaceFormatError`` if there is none."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if size < 12 or end[4:] != _MAGIC or length > size - 12:
        raise SpaceFormatError(f"{path}: has no Parquet footer ({size} bytes): it is truncated or not a Parquet file")
    file.seek(size - 8 - length)
    footer = file.read(length) + end
    return Tail(size, hashlib.sha256(footer).hexdigest(), footer)


@dataclass(frozen=True)
class StoredRows:
    """The rows on disk. Reads what is asked for, and refuses what is not what was written."""

    path: Path
    facts: FileFacts
    metadata: pq.FileMetaData = field(compare=False, repr=False)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the file."""
        return self.metadata.schema.to_arrow_schema()

    def group_sizes(self) -> list[int]:
        """Return the number of rows of each row group."""
        return [self.metadata.row_group(i).num_rows for i in range(self.metadata.num_row_groups)]

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Return whole columns."""
        with self._reading() as file:
            return file.read(columns=list(columns), use_threads=False).select(columns)

    def read_group(self, index: int, columns: Sequence[str]) -> pa.Table:
        """Return columns of one row group."""
        with self._reading() as file:
            return file.read_row_group(index, columns=list(columns), use_threads=False).select(columns)

    def groups(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield columns row group by row group."""
        with self._reading() as file:
            for index in range(file.num_row_groups):
                yield file.read_row_group(index, columns=list(columns), use_threads=False).select(columns)

    def batches(self, columns: Sequence[str], size: int) -> Iterator[pa.Table]:
        """Yield columns in batches of ``size`` rows, whatever the row groups are."""
        waiting: pa.Table | None = None
        for group in self.groups(columns):
            waiting = group if waiting is None else pa.concat_tables([waiting, group])
            while len(waiting) >= size:
                yield waiting.slice(0, size)
                waiting = waiting.slice(size)
        if waiting is not None and len(waiting):
            yield waiting

    def take(self, positions: IntArray, columns: Sequence[str]) -> pa.Table:
        """Return columns of the rows at ``positions``, in that order; reads only the row groups that hold some."""
        order = np.argsort(positions, kind="stable")
        ascending = positions[order]
        pieces, start = [], 0
        for index, size in enumerate(self.group_sizes()):
            low, high = np.searchsorted(ascending, [start, start + size])
            if low < high:
                pieces.append(self.read_group(index, columns).take(ascending[low:high] - start))
            start += size
        return pa.concat_tables(pieces).take(np.argsort(order, kind="stable"))

    def column_bytes(self, column: str) -> int:
        """Return the uncompressed size of a column."""
        groups = [self.metadata.row_group(i) for i in range(self.metadata.num_row_groups)]
        chunks = [group.column(j) for group in groups for j in range(group.num_columns)]
        return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema == column)

    def verify(self) -> None:
        """Hash the whole file; ``SpaceFormatError`` if one byte is not what was written."""
        digest = hashlib.sha256()
        with self._opened() as file:
            file.seek(0)
            while block := file.read(BLOCK):
                digest.update(block)
        if digest.hexdigest() != self.facts.content:
            raise SpaceFormatError(f"{self.path}: its content is not what was written; restore or build it again")

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        with open_binary(self.path) as file:
            tail = read_tail(file, self.path)
            if not tail.agrees(self.facts):
                raise SpaceFormatError(f"{self.path}: changed on disk since the Space was opened; open it again")
            yield file

    @contextmanager
    def _reading(self) -> Iterator[pq.ParquetFile]:
        try:
            with self._opened() as file, _CheckedSource(file, self.facts, self.path) as source:
                yield pq.ParquetFile(source, metadata=self.metadata, page_checksum_verification=True, pre_buffer=False)
        except (OSError, pa.ArrowException) as error:
            reason = str(error).split("\n", 1)[0]
            raise SpaceFormatError(f"{self.path}: can't be read ({reason}); restore or build it again") from error


def open_binary(path: Path) -> BinaryIO:
    """Open a plain file for reading; a missing file, a folder, a device or missing rights are named."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SpaceFormatError(f"{path}: is not a plain file")
        return path.open("rb")
    except FileNotFoundError as error:
        raise SpaceFormatError(f"{path}: is missing") from error
    except OSError as error:
        raise SpaceFormatError(f"{path}: can't be opened ({error.strerror})") from error


def _leaf(name: str, kind: pa.DataType) -> str:
    """The path of a column's values in a Parquet schema."""
    nested = kind == SET_TYPE or pa.types.is_fixed_size_list(kind)
    return f"{name}.list.element" if nested else name


class _HashingSink(io.RawIOBase):
    """A file to write to that hashes all bytes, and every block of them, as they pass."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._whole = hashlib.sha256()
        self._block = hashlib.sha256()
        self._filled = 0
        self._blocks: list[str] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        self._file.write(view)
        self._whole.update(view)
        start = 0
        while start < len(view):
            piece = view[start : start + BLOCK - self._filled]
            self._block.update(piece)
            self._filled += len(piece)
            start += len(piece)
            if self._filled == BLOCK:
                self._finish_block()
        return len(view)

    def digests(self) -> tuple[str, str]:
        """The hash of all bytes, and the hashes of the blocks one after the other."""
        if self._filled:
            self._finish_block()
        return self._whole.hexdigest(), "".join(self._blocks)

    def _finish_block(self) -> None:
        self._blocks.append(self._block.hexdigest()[:_DIGEST])
        self._block = hashlib.sha256()
        self._filled = 0


class _CheckedSource(io.RawIOBase):
    """A file to read from in which every block that is touched is compared with its hash."""

    def __init__(self, file: BinaryIO, facts: FileFacts, path: Path) -> None:
        self._file, self._facts, self._path = file, facts, path
        self._position = 0
        self._last: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._facts.size}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        stop = self._facts.size if size < 0 else min(self._position + size, self._facts.size)
        pieces = []
        while self._position < stop:
            index, offset = divmod(self._position, BLOCK)
            piece = self._verified(index)[offset : offset + stop - self._position]
            pieces.append(piece)
            self._position += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _verified(self, index: int) -> bytes:
        if self._last[0] != index:
            self._file.seek(index * BLOCK)
            block = self._file.read(BLOCK)
            expected = self._facts.blocks[index * _DIGEST : (index + 1) * _DIGEST]
            if hashlib.sha256(block).hexdigest()[:_DIGEST] != expected:
                raise SpaceFormatError(
                    f"{self._path}: the {len(block):,} bytes from {index * BLOCK:,} on are not what was written; "
                    "restore or build it again"
                )
            self._last = (index, block)
        return self._last[1]
