"""The store in PostgreSQL with the extension pgvector: a table per collection, values always as parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from spaceform.checks import require
from spaceform.errors import InputError, StoreError
from spaceform.search.filter_logic import Expr
from spaceform.search.filter_predicates import Contains
from spaceform.search.stores.collection import Collection, FieldType
from spaceform.search.stores.engine import Rows, Vectors, padded
from spaceform.search.stores.language import ID, VECTOR, Sql, said, with_ids, written
from spaceform.search.stores.layout import from_records, to_table
from spaceform.types import IntArray

REGISTRY = "spaceform__collections"
"""The table with the records of collections; their own are ``spaceform_`` and the name, which begins with a letter."""

WIDEST, WIDEST_INDEXED = 16_000, 2_000
"""Dimensions that pgvector stores, and those that its graph takes."""

_OPERATORS = {"cosine": ("<=>", "cosine"), "euclidean": ("<->", "l2"), "ip": ("<#>", "ip")}
_TYPES = {
    FieldType.INTEGER: "bigint", FieldType.DATE: "bigint", FieldType.TIMESTAMP: "bigint",
    FieldType.REAL: "double precision", FieldType.BOOLEAN: "boolean", FieldType.TEXT: 'text collate "C"',
    FieldType.TEXTS: "text[]",
}  # fmt: skip
_CASTS = {bool: "boolean", int: "bigint", float: "double precision", str: "text"}
_LEAST_BEAM, _MOST_BEAM = 200, 1_000


class PostgresLanguage(Sql):
    """Conditions with a place for each value; the values stand in ``parameters``, in their order."""

    def __init__(self) -> None:
        """Begin without values."""
        self.parameters: list[Any] = []

    def value(self, value: Any) -> str:
        """Hand the value over apart, with its type."""
        self.parameters.append(value)
        return f"%s::{_CASTS[type(value)]}"

    def values(self, column: str, values: Sequence[Any]) -> str:
        """Use ``= any`` of an array."""
        self.parameters.append(list(values))
        return f"{column} = any(%s::{_CASTS[type(values[0])]}[])"

    def containing(self, test: Contains) -> str:
        """Use the operators of arrays: overlaps, contains."""
        self.parameters.append(list(test.texts))
        return f"{test.column} {'@>' if test.every else '&&'} %s::text[]"


class PostgresEngine:
    """Collections as tables. Every call is one transaction: all of an upsert is there, or nothing.

    Tables are scanned, exactly, until `optimize` builds an HNSW graph (for at most 2,000 dimensions, and not for
    ``flat`` collections); it is searched on until enough rows pass (``hnsw.iterative_scan``).
    """

    def __init__(self, connection: Any, api: Any) -> None:
        """Take a connection and the package that it is of."""
        self._connection = connection
        self.failures: tuple[type[Exception], ...] = (api.Error,)

    def names(self) -> list[str]:
        """Return the names of the collections."""
        if not self._has_registry():
            return []
        return [name for (name,) in self._connection.execute(f"select name from {REGISTRY}")]

    def read(self, name: str) -> Collection | None:
        """Return a collection, or None."""
        if not self._has_registry():
            return None
        found = self._connection.execute(f"select record from {REGISTRY} where name = %s", [name]).fetchone()
        return Collection.from_json(found[0], name) if found else None

    def create(self, collection: Collection) -> None:
        """Make a table, and the extension if it is not there."""
        if collection.dim > WIDEST:
            raise InputError("dim", got=collection.dim, expected=f"at most {WIDEST:,} in pgvector")
        columns = [f"{collection.columns[name]} {_TYPES[kind]}" for name, kind in collection.fields.items()]
        listed = ", ".join([f"{ID} bigint primary key", f"{VECTOR} vector({collection.dim}) not null", *columns])
        with self._connection.transaction():
            if not self._connection.execute("select 1 from pg_extension where extname = 'vector'").fetchone():
                self._connection.execute("create extension vector")
            if not self._has_registry():
                self._connection.execute(f"create table {REGISTRY} (name text primary key, record text not null)")
            self._connection.execute(f"create table {_table(collection)} ({listed})")
            record = [collection.name, collection.to_json()]
            self._connection.execute(f"insert into {REGISTRY} values (%s, %s)", record)

    def drop(self, collection: Collection) -> None:
        """Drop the table and the record."""
        with self._connection.transaction():
            self._connection.execute(f"drop table {_table(collection)}")
            self._connection.execute(f"delete from {REGISTRY} where name = %s", [collection.name])

    def upsert(self, collection: Collection, rows: Rows) -> None:
        """Copy the rows in, then put them in their places; all of them or none."""
        columns = [ID, VECTOR, *collection.columns.values()]
        named, new = ", ".join(columns), ", ".join(f"excluded.{column}" for column in columns[1:])
        table, waiting = to_table(collection, rows), "spaceform__waiting"
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(f"create temp table {waiting} (like {_table(collection)}) on commit drop")
            with cursor.copy(f"copy {waiting} ({named}) from stdin") as copying:
                for row in zip(*(table[column].to_pylist() for column in columns), strict=True):
                    copying.write_row((row[0], _vector(row[1]), *row[2:]))
            cursor.execute(
                f"insert into {_table(collection)} ({named}) select {named} from {waiting}"
                f" on conflict ({ID}) do update set ({', '.join(columns[1:])}) = row({new})"
            )

    def delete(self, collection: Collection, which: IntArray | Expr) -> None:
        """Remove rows by a condition."""
        condition, values = self._condition(collection, which) if isinstance(which, Expr) else _written(with_ids(which))
        self._connection.execute(f"delete from {_table(collection)} where {condition}", values)

    def count(self, collection: Collection, where: Expr) -> int:
        """Count the rows that pass; exact."""
        condition, values = self._condition(collection, where)
        counted = self._connection.execute(f"select count(*) from {_table(collection)} where {condition}", values)
        return int(counted.fetchone()[0])

    def search(self, collection: Collection, queries: Vectors, k: int, *, where: Expr, exact: bool) -> IntArray:
        """Search as the planner of PostgreSQL thinks best; ``exact`` forbids it the graph."""
        condition, values = self._condition(collection, where)
        asked = (
            f"select {ID} from {_table(collection)} where {condition}"
            f" order by {VECTOR} {_OPERATORS[collection.metric][0]} %s::vector limit %s"
        )
        with self._searching(k, exact=exact or collection.index == "flat") as connection:
            found = [connection.execute(asked, [*values, _vector(query.tolist()), k]).fetchall() for query in queries]
        return padded([[row for (row,) in rows] for rows in found], k)

    def take(self, collection: Collection, ids: IntArray) -> Rows:
        """Return rows by id."""
        return self._rows(collection, with_ids(ids))

    def optimize(self, collection: Collection) -> None:
        """Build the graph if there is none, and let the planner count."""
        if collection.index != "flat" and collection.dim <= WIDEST_INDEXED:
            kind = _OPERATORS[collection.metric][1]
            self._connection.execute(
                f'create index if not exists "spaceform_{collection.name}_ann" on {_table(collection)}'
                f" using hnsw ({VECTOR} vector_{kind}_ops)"
            )
        self._connection.execute(f"analyze {_table(collection)}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _has_registry(self) -> bool:
        return self._connection.execute("select to_regclass(%s)", [REGISTRY]).fetchone()[0] is not None

    @contextmanager
    def _searching(self, k: int, *, exact: bool) -> Iterator[Any]:
        with self._connection.transaction():
            if exact:
                self._connection.execute("set local enable_indexscan = off")
            else:
                self._connection.execute("set local hnsw.iterative_scan = strict_order")
                beam = min(_MOST_BEAM, max(_LEAST_BEAM, 2 * k))
                self._connection.execute(f"set local hnsw.ef_search = {beam}")
            yield self._connection

    def _condition(self, collection: Collection, where: Expr) -> tuple[str, list[Any]]:
        return _written(
            said(where, collection, says=PostgresLanguage.says, rows_of=lambda one: self._rows(collection, one))
        )

    def _rows(self, collection: Collection, form: Expr) -> Rows:
        condition, values = _written(form)
        columns = [ID, f"{VECTOR}::real[]", *collection.columns.values()]
        asked = f"select {', '.join(columns)} from {_table(collection)} where {condition}"
        names = [ID, VECTOR, *collection.columns.values()]
        found = self._connection.execute(asked, values).fetchall()
        return from_records(collection, [dict(zip(names, row, strict=True)) for row in found], vectors=True)


def connect(place: str, *, token: str) -> PostgresEngine:
    """Connect to the server of a ``postgresql://`` URI; ``token`` is the password where the URI has none."""
    api = require("psycopg", "pgvector")
    try:
        more = {"password": token} if token else {}
        return PostgresEngine(api.connect(place, autocommit=True, **more), api)
    except api.Error as error:
        raise StoreError(f"PostgreSQL: {str(error).splitlines()[0]:.300}") from error


def _table(collection: Collection) -> str:
    return f'"spaceform_{collection.name}"'


def _written(form: Expr) -> tuple[str, list[Any]]:
    language = PostgresLanguage()
    return written(form, language), language.parameters


def _vector(values: Sequence[float]) -> str:
    return "[" + ",".join(map(repr, values)) + "]"
