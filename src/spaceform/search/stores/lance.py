"""The store in LanceDB: a folder, a bucket (s3://, gs://, az://) or its service (db://), a table per collection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from spaceform.checks import require
from spaceform.errors import StoreError
from spaceform.search.filter_logic import Expr
from spaceform.search.filter_predicates import Contains
from spaceform.search.stores.collection import Collection
from spaceform.search.stores.engine import Rows, Vectors, padded
from spaceform.search.stores.language import ID, VECTOR, Sql, said, with_ids, written
from spaceform.search.stores.layout import stored_schema, to_rows, to_table
from spaceform.types import IntArray

_RECORD = b"spaceform"
_METRICS = {"cosine": "cosine", "euclidean": "l2", "ip": "dot"}
_LEAST_TO_INDEX = 1_000
"""Rows from which on an index is worth its training."""

_PROBES, _AT_ONCE, _MOST_NAMES = 20, 1_000, 10_000


class LanceLanguage(Sql):
    """SQL as LanceDB reads it: it has no parameters, so texts stand in single quotes, those inside doubled."""

    def value(self, value: Any) -> str:
        """Write a literal; the backslash is a letter as any other."""
        if isinstance(value, str):
            return "'" + value.replace("'", "''") + "'"
        return str(value).lower() if isinstance(value, bool) else repr(value)

    def values(self, column: str, values: Sequence[Any]) -> str:
        """Use ``in``."""
        return f"{column} in ({', '.join(map(self.value, values))})"

    def containing(self, test: Contains) -> str:
        """Use functions of arrays."""
        texts = ", ".join(map(self.value, test.texts))
        return f"array_has_{'all' if test.every else 'any'}({test.column}, [{texts}])"


class LanceEngine:
    """Collections as tables of LanceDB; every write is a version of the table, so that it is there whole or not at all.

    Tables are scanned, exactly, until `optimize` builds an index (IVF) for one that is not ``flat`` and has 1,000 rows.
    """

    failures: tuple[type[Exception], ...] = (ValueError, RuntimeError, OSError)

    def __init__(self, database: Any) -> None:
        """Take a connection."""
        self._database = database

    def names(self) -> list[str]:
        """Return the names of the collections: the tables that we made."""
        return [name for name in self._tables() if _RECORD in (self._table(name).schema.metadata or {})]

    def read(self, name: str) -> Collection | None:
        """Return a collection, or None."""
        if name not in self._tables():
            return None
        record = (self._table(name).schema.metadata or {}).get(_RECORD, b"")
        return Collection.from_json(record.decode(), name)

    def create(self, collection: Collection) -> None:
        """Make a table whose schema holds the record."""
        schema = stored_schema(collection).with_metadata({_RECORD: collection.to_json().encode()})
        self._database.create_table(collection.name, schema=schema)

    def drop(self, collection: Collection) -> None:
        """Drop the table."""
        self._database.drop_table(collection.name)

    def upsert(self, collection: Collection, rows: Rows) -> None:
        """Write rows; all of them or none."""
        merging = self._table(collection.name).merge_insert(ID).when_matched_update_all()
        merging.when_not_matched_insert_all().execute(to_table(collection, rows))

    def delete(self, collection: Collection, which: IntArray | Expr) -> None:
        """Remove rows by a condition."""
        table = self._table(collection.name)
        if isinstance(which, Expr):
            table.delete(self._condition(collection, which))
        else:
            table.delete(written(with_ids(which), LanceLanguage()))

    def count(self, collection: Collection, where: Expr) -> int:
        """Count the rows that pass; exact."""
        return int(self._table(collection.name).count_rows(self._condition(collection, where)))

    def search(self, collection: Collection, queries: Vectors, k: int, *, where: Expr, exact: bool) -> IntArray:
        """Search under the condition, by the index if there is one and ``exact`` does not forbid it."""
        table, condition = self._table(collection.name), self._condition(collection, where)
        found = []
        for query in queries:
            asked = table.search(query, vector_column_name=VECTOR).distance_type(_METRICS[collection.metric])
            asked = asked.where(condition, prefilter=True).select([ID, "_distance"]).limit(k)
            asked = asked.bypass_vector_index() if exact or collection.index == "flat" else asked.nprobes(_PROBES)
            found.append(asked.to_arrow()[ID].to_numpy())
        return padded(found, k)

    def take(self, collection: Collection, ids: IntArray) -> Rows:
        """Return rows by id."""
        parts = [
            self._rows(collection, with_ids(ids[start : start + _AT_ONCE])) for start in range(0, len(ids), _AT_ONCE)
        ]
        return Rows(
            np.concatenate([part.ids for part in parts]), np.concatenate([part.vectors for part in parts]),
            pa.concat_tables([part.fields for part in parts]),
        )  # fmt: skip

    def optimize(self, collection: Collection) -> None:
        """Compact the versions, and build or extend the index."""
        table = self._table(collection.name)
        rows = table.count_rows()
        if collection.index != "flat" and rows >= _LEAST_TO_INDEX and not table.list_indices():
            index = require("lancedb.index", "lance").IvfFlat(
                distance_type=_METRICS[collection.metric], num_partitions=max(1, round(rows**0.5))
            )
            table.create_index(VECTOR, config=index)
        table.optimize()

    def close(self) -> None:
        """Nothing is held."""

    def _tables(self) -> list[str]:
        return list(self._database.list_tables(limit=_MOST_NAMES).tables)

    def _table(self, name: str) -> Any:
        return self._database.open_table(name)

    def _condition(self, collection: Collection, where: Expr) -> str:
        form = said(where, collection, says=LanceLanguage.says, rows_of=lambda one: self._rows(collection, one))
        return written(form, LanceLanguage())

    def _rows(self, collection: Collection, form: Expr) -> Rows:
        found = self._table(collection.name).search().where(written(form, LanceLanguage()))
        return to_rows(collection, found.select([ID, VECTOR, *collection.columns.values()]).limit(None).to_arrow())


def connect(place: str, *, token: str) -> LanceEngine:
    """Open a folder, a bucket or (db://, with its key as ``token``) the service."""
    api = require("lancedb", "lance")
    try:
        database = api.connect(place, api_key=token or None, read_consistency_interval=dt.timedelta(0))
    except LanceEngine.failures as error:
        raise StoreError(f"{place}: {str(error).splitlines()[0]:.300}") from error
    return LanceEngine(database)
