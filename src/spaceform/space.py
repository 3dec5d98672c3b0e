"""The Space: rows with a vector, attributes and perhaps a label; the noun that every verb reads and writes."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.space_format import Header, check_json, open_space, write_space
from spaceform.space_payload import ROWS_PER_GROUP, Payload
from spaceform.space_rows import (
    ID,
    RESERVED,
    as_numpy,
    check_attributes,
    check_pictures,
    check_vectors,
    class_codes,
    light_table,
    row_positions,
)
from spaceform.types import FloatArray, IntArray, PathLike


class Space:
    """Vectors ``(n, d)`` with ids, attributes, perhaps a label and pictures; immutable, in memory or on disk.

    Make one with `Space.create`, read one with `Space.open`, write it with `save`. An opened Space reads columns
    and vectors when they are first asked for; `iter_vectors` never holds more than a block of them.

    >>> space = Space.create([[1.0, 0.0], [0.0, 1.0]], attributes={"concept": ["cat", None]}, label="concept")
    >>> len(space), space.dim, space.columns, space.labels()
    (2, 2, ['concept'], (array([ 0, -1]), ['cat']))
    """

    __slots__ = ("_header", "_payload", "_table")

    def __init__(self, header: Header, payload: Payload, table: pa.Table | None = None) -> None:
        """Put checked parts together; use `create` or `open`."""
        self._header, self._payload, self._table = header, payload, table

    @classmethod
    def create(
        cls,
        vectors: ArrayLike,
        *,
        attributes: Mapping[str, Sequence[Any]] | pa.Table | None = None,
        ids: Sequence[object] | None = None,
        label: str | None = None,
        geometry: str = "euclidean",
        encoder: Mapping[str, Any] | None = None,
        pictures: Sequence[bytes | None] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> Space:
        """Make a Space in memory.

        Parameters: ``vectors (n, d)`` finite, kept as float32 (not copied if they are); ``attributes`` columns of
        n values each: text, integers, floats, booleans, dates, timestamps or lists of text, None where missing;
        ``ids`` n unique strings (None: row numbers); ``label`` the attribute that holds the class; ``geometry``
        ``"euclidean"``, ``"sphere"`` (norms 1 within 0.001) or ``"poincare"`` (norms below 1); ``encoder`` what
        made the vectors, JSON-able, with its ``"fingerprint"``; ``pictures`` encoded images; ``info`` free JSON.

        Raises ``InputError`` for anything else. O(n d).
        """
        matrix = check_vectors(vectors, geometry)
        table = light_table(ids, attributes, len(matrix))
        if encoder is not None and not (isinstance(encoder, Mapping) and isinstance(encoder.get("fingerprint"), str)):
            raise InputError("encoder", got=repr(encoder)[:80], expected="a mapping with a 'fingerprint' text, or None")
        header = Header(
            rows=len(matrix),
            dim=matrix.shape[1],
            label=None if label is None else _known(table, label, "label"),
            geometry=geometry,
            encoder=None if encoder is None else check_json(encoder, "encoder"),
            info=check_json(info, "info"),
        )
        shown = check_pictures(pictures, len(matrix))
        return cls(header, Payload(len(matrix), matrix.shape[1], vectors=matrix, pictures=shown), table)

    @classmethod
    def open(cls, path: PathLike) -> Space:
        """Open the Space in folder ``path``, reading its record and the Parquet footer only.

        A commit that was cut off is finished. Raises ``SpaceFormatError`` for whatever can't be trusted.
        """
        header, stored = open_space(Path(path))
        return cls(header, Payload(header.rows, header.dim, stored=stored))

    def save(self, path: PathLike) -> Path:
        """Write the Space to folder ``path`` and return it: the old one or the new one is there at any moment.

        Files of other names in the folder stay. Streams: one row group in memory. Raises ``InputError`` when the
        folder can't be written (what was there stays), ``SpaceFormatError`` when rows not yet read are damaged.
        """
        folder, payload = Path(path), self._payload
        stored = write_space(
            folder, self._header, schema=payload.schema(self.table), groups=payload.row_groups(self.table)
        )
        if payload.stored is not None and payload.stored.path.resolve() == stored.path.resolve():
            self._payload = replace(payload, stored=stored)
        return folder

    def verify(self) -> None:
        """Hash the whole file on disk; ``SpaceFormatError`` if one byte changed. O(bytes)."""
        self._payload.on_disk().verify()

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._header.rows

    def __repr__(self) -> str:
        """Return sizes, geometry and label."""
        header = self._header
        return f"Space({header.rows:,} rows x {header.dim}, geometry={header.geometry!r}, label={header.label!r})"

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with any byte of the rows on disk; ``InputError`` in memory only."""
        return self._payload.on_disk().facts.content[:16]

    @property
    def dim(self) -> int:
        """The number of coordinates of a vector."""
        return self._header.dim

    @property
    def label(self) -> str | None:
        """The name of the attribute that holds the class, or None."""
        return self._header.label

    @property
    def geometry(self) -> str:
        """``"euclidean"``, ``"sphere"`` or ``"poincare"``."""
        return self._header.geometry

    @property
    def encoder(self) -> dict[str, Any] | None:
        """What made the vectors, with its fingerprint (a copy), or None."""
        return copy.deepcopy(self._header.encoder)

    @property
    def info(self) -> dict[str, Any]:
        """Free metadata: what built the Space (a copy)."""
        return copy.deepcopy(self._header.info)

    @property
    def table(self) -> pa.Table:
        """The Arrow table of ``id`` and the attributes, without vectors and pictures; read on first use."""
        if self._table is None:
            self._table = self._payload.on_disk().read([ID, *self.columns])
        return self._table

    @property
    def columns(self) -> list[str]:
        """The names of the attributes, in order (``id`` is not one of them)."""
        names = self._payload.on_disk().schema.names if self._table is None else self._table.column_names
        return [name for name in names if name not in RESERVED]

    @property
    def ids(self) -> np.ndarray:
        """The ids, a NumPy array of text ``(n,)``; n times the longest id in memory."""
        return self.table[ID].to_numpy().astype(str)

    @property
    def vectors(self) -> FloatArray:
        """The vectors ``(n, d)`` float32; read on first use and kept."""
        return self._payload.matrix()

    def iter_vectors(self, batch_rows: int = ROWS_PER_GROUP) -> Iterator[FloatArray]:
        """Yield the vectors in order as float32 blocks of ``batch_rows`` rows (the last may be shorter).

        From disk, one row group and one block are in memory at a time.
        """
        check_integer(batch_rows, "batch_rows", low=1)
        return self._payload.blocks(batch_rows)

    def column(self, name: str) -> np.ndarray:
        """Return a column as an array ``(n,)``; ``InputError`` for an unknown name.

        Text is an object array of str (None where missing), sets one of tuples; numbers and booleans are of their
        own dtype, unless values are missing: then integers are float64 with NaN and booleans objects with None;
        dates and timestamps are datetime64 (NaT where missing).
        """
        return as_numpy(self.table[_known(self.table, name, "name")])

    def labels(self, name: str | None = None) -> tuple[IntArray, list[str]]:
        """Return class codes ``(n,)`` int64 and class names of the label, or of the attribute ``name``.

        Codes follow the order of the values; missing values, and -1 in integer columns, are -1: unlabelled.
        Raises ``InputError`` when the Space has no label and no name is given.
        """
        name = name if name is not None else self.label
        if name is None:
            raise InputError("name", got="a Space without a label", expected=f"one of {self.columns}")
        return class_codes(self.table[_known(self.table, name, "name")])

    @property
    def has_pictures(self) -> bool:
        """Whether rows have pictures."""
        return self._payload.has_pictures

    def picture(self, i: int) -> bytes | None:
        """Return the encoded picture of row ``i``, or None; from disk, its row group's pictures are read and kept."""
        check_integer(i, "i", low=0, high=len(self) - 1)
        return self._payload.picture(i)

    def with_columns(self, columns: Mapping[str, Any] | pa.Table, *, label: str | None = None) -> Space:
        """Return the Space with these attributes added or replaced, and with ``label`` as its label if given."""
        table = self.table
        added = check_attributes(columns, len(self))
        for name, column in added.items():
            position = table.schema.get_field_index(name)
            if position < 0:
                table = table.append_column(name, column)
            else:
                table = table.set_column(position, name, column)
        label = self.label if label is None else _known(table, label, "label")
        return Space(replace(self._header, label=label), replace(self._payload), table)

    def with_vectors(
        self, vectors: ArrayLike, *, geometry: str | None = None, encoder: Mapping[str, Any] | None = None
    ) -> Space:
        """Return the same rows with other vectors ``(n, d')``; without ``encoder`` the new ones have none on record."""
        geometry = geometry or self.geometry
        made = Space.create(vectors, geometry=geometry, encoder=encoder)
        if len(made) != len(self):
            raise InputError("vectors", got=f"{len(made)} rows", expected=f"{len(self)}, one per row of the Space")
        header = replace(self._header, dim=made.dim, geometry=geometry, encoder=made.encoder)
        return Space(header, replace(self._payload, dim=made.dim, vectors=made.vectors), self.table)

    def with_info(self, info: Mapping[str, Any]) -> Space:
        """Return the Space with other free metadata."""
        header = replace(self._header, info=check_json(info, "info"))
        return Space(header, replace(self._payload), self._table)

    def select(self, rows: ArrayLike) -> Space:
        """Return the rows of a boolean mask ``(n,)`` or of distinct indices, in that order; at least one.

        From disk this streams: memory for the chosen rows and one row group.
        """
        positions = row_positions(rows, len(self))
        if not len(positions):
            raise InputError("rows", got="no row", expected="at least one row to keep")
        if len(np.unique(positions)) < len(positions):
            raise InputError("rows", got="a row twice", expected="distinct rows", remedy="ids must stay unique")
        header = replace(self._header, rows=len(positions))
        return Space(header, self._payload.take(positions), self.table.take(positions))


def _known(table: pa.Table, name: object, argument: str) -> str:
    """Return ``name`` if it is a column; else the error names the ones there are, nearest first."""
    if isinstance(name, str) and name in table.column_names:
        return name
    near = difflib.get_close_matches(str(name), table.column_names, n=1)
    raise InputError(
        argument,
        got=repr(name),
        expected="one of the columns " + ", ".join(map(repr, table.column_names)),
        remedy=f"did you mean {near[0]!r}?" if near else "",
    )
