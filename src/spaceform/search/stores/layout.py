"""Rows as engines keep them: one table of the id, the vector and the fields under their plain names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from spaceform.search.stores.collection import Collection
from spaceform.search.stores.engine import Rows
from spaceform.search.stores.language import ID, VECTOR

CHUNK_BYTES = 8 * 2**20
"""What is sent at once to servers that bound the size of a message."""


def stored_schema(collection: Collection, *, vectors: bool = True) -> pa.Schema:
    """Return the Arrow schema of the table."""
    own = [pa.field(ID, pa.int64(), nullable=False)]
    own += [pa.field(VECTOR, pa.list_(pa.float32(), collection.dim))] if vectors else []
    return pa.schema([*own, *collection.stored])


def to_table(collection: Collection, rows: Rows) -> pa.Table:
    """Return rows as such a table."""
    flat = pa.array(np.ascontiguousarray(rows.vectors, np.float32).ravel())
    vectors = pa.FixedSizeListArray.from_arrays(flat, collection.dim)
    fields = collection.to_stored(rows.fields).columns if collection.fields else []
    return pa.table([pa.array(rows.ids), vectors, *fields], schema=stored_schema(collection))


def to_rows(collection: Collection, table: pa.Table) -> Rows:
    """Undo `to_table`; columns may come in any order, and a table without vectors gives rows of width 0."""
    ids = table[ID].to_numpy().astype(np.int64)
    vectors = np.empty((len(ids), 0), np.float32)
    if VECTOR in table.column_names:
        flat = table[VECTOR].combine_chunks()
        values = flat.flatten().to_numpy(zero_copy_only=False)
        vectors = values.reshape(len(ids), collection.dim).astype(np.float32)
    return Rows(ids, vectors, collection.from_stored(table))


def from_records(collection: Collection, records: list[Mapping[str, Any]], *, vectors: bool) -> Rows:
    """Return rows that a client gave as mappings of columns to plain values."""
    schema = stored_schema(collection, vectors=vectors)
    return to_rows(collection, pa.Table.from_pylist([dict(record) for record in records], schema=schema))


def chunk_rows(collection: Collection, table: pa.Table) -> int:
    """Return how many rows make a message of `CHUNK_BYTES`, fields and all."""
    per_row = max(1, (table.nbytes + 64 * len(table)) // max(1, len(table)))
    return max(1, min(10_000, CHUNK_BYTES // per_row))
