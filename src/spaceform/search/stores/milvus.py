"""The store in Milvus: a file of milvus-lite, its server, a Milvus server or a cluster; only the URI changes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spaceform.checks import require
from spaceform.errors import InputError, StoreError
from spaceform.search.filter_logic import Constant, Expr
from spaceform.search.filter_predicates import Comparison, Contains, In, IsNull, Like
from spaceform.search.stores.collection import Collection, FieldType
from spaceform.search.stores.engine import Rows, Vectors, nearest_of, padded
from spaceform.search.stores.language import ID, VECTOR, said, with_ids, written
from spaceform.search.stores.layout import chunk_rows, from_records, to_table
from spaceform.types import IntArray

REGISTRY = "_spaceform"
"""The collection that holds the records of the others; no user's collection has such a name."""

LONGEST, MOST_TEXTS = 65_535, 4_096
"""Bytes of a text and texts of a list, at most, in Milvus."""

_METRICS = {"cosine": "COSINE", "euclidean": "L2", "ip": "IP"}
_TYPES = {
    FieldType.INTEGER: "INT64", FieldType.DATE: "INT64", FieldType.TIMESTAMP: "INT64", FieldType.REAL: "DOUBLE",
    FieldType.BOOLEAN: "BOOL", FieldType.TEXT: "VARCHAR", FieldType.TEXTS: "ARRAY",
}  # fmt: skip
_GRAPH = {"M": 16, "efConstruction": 200}
_LEAST_BEAM = 200
_AT_ONCE = 1_000
_KEEP_ALIVE = 300_000
"""Milliseconds between signs of life; milvus-lite hangs up on clients that send them every ten seconds."""

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class MilvusLanguage:
    """Filters as Milvus reads them. Text stands in double quotes, with backslashes before what would end it."""

    def constant(self, *, value: bool) -> str:
        """Ids are never negative."""
        return "id >= 0" if value else "id < 0"

    def compared(self, test: Comparison) -> str:
        """``==`` for ``=``."""
        operator = "==" if test.operator == "=" else test.operator
        return f"{test.column} {operator} {_literal(test.value.value)}"

    def within(self, test: In) -> str:
        """A list in brackets."""
        return f"{test.column} in {_listed([value.value for value in test.values])}"

    def missing(self, test: IsNull) -> str:
        """``is null``."""
        return f"{test.column} is null"

    def containing(self, test: Contains) -> str:
        """Functions of arrays."""
        return f"array_contains_{'all' if test.every else 'any'}({test.column}, {_listed(test.texts)})"

    def like(self, test: Like) -> str:
        """Patterns; `says` names those that mean the same to all versions."""
        return f"{test.column} like {_literal(test.pattern)}"

    @staticmethod
    def says(test: Like) -> bool:
        """Whether Milvus has the pattern: it knows no ILIKE, and milvus-lite no backslash."""
        return not test.ignore_case and "\\" not in test.pattern


class MilvusEngine:
    """Collections of Milvus under the same names; consistency is strong, so that clients see each other's writes.

    ``auto`` and ``approximate`` collections have an HNSW graph, ``flat`` ones are scanned. An upsert of more than
    8 MiB is sent in parts: each is there or not, whatever happens. Where an answer is short, the rows that pass are
    fetched and compared here.
    """

    def __init__(self, client: Any, api: Any) -> None:
        """Take a ``MilvusClient`` and the package that it is of."""
        self._client, self._api = client, api
        self.failures: tuple[type[Exception], ...] = (
            api.exceptions.MilvusException,
            require("grpc", "milvus").RpcError,
        )
        self._loaded: set[str] = set()

    def names(self) -> list[str]:
        """Return the names of the collections."""
        if not self._client.has_collection(REGISTRY):
            return []
        self._load(REGISTRY)
        found = self._client.query(REGISTRY, filter='name != ""', output_fields=["name"], limit=16_384)
        return [row["name"] for row in found]

    def read(self, name: str) -> Collection | None:
        """Return a collection, or None."""
        if not self._client.has_collection(REGISTRY):
            return None
        self._load(REGISTRY)
        found = self._client.query(REGISTRY, filter=f"name == {_literal(name)}", output_fields=["record"], limit=1)
        return Collection.from_json(found[0]["record"], name) if len(found) else None

    def create(self, collection: Collection) -> None:
        """Make a collection; its record comes last, so that half of one is none."""
        if len(collection.to_json().encode()) > LONGEST:
            raise InputError("info", got="a record beyond 64 KiB", expected="fewer or shorter fields and facts")
        kinds = self._api.DataType
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(ID, kinds.INT64, is_primary=True)
        schema.add_field(VECTOR, kinds.FLOAT_VECTOR, dim=collection.dim)
        for name, kind in collection.fields.items():
            more: dict[str, Any] = {}
            if kind in (FieldType.TEXT, FieldType.TEXTS):
                more = {"max_length": LONGEST}
            if kind is FieldType.TEXTS:
                more |= {"element_type": kinds.VARCHAR, "max_capacity": MOST_TEXTS}
            schema.add_field(collection.columns[name], getattr(kinds, _TYPES[kind]), nullable=True, **more)
        if self._client.has_collection(collection.name):
            self._client.drop_collection(collection.name)
        flat = collection.index == "flat"
        self._make(collection.name, schema, kind="FLAT" if flat else "HNSW", metric=_METRICS[collection.metric],
                   options={} if flat else _GRAPH)  # fmt: skip
        self._write_record(collection)

    def drop(self, collection: Collection) -> None:
        """Remove a collection, its record first."""
        self._load(REGISTRY)
        self._client.delete(REGISTRY, filter=f"name == {_literal(collection.name)}")
        self._client.drop_collection(collection.name)
        self._loaded.discard(collection.name)

    def upsert(self, collection: Collection, rows: Rows) -> None:
        """Write rows, in parts of bounded size."""
        _check_sizes(collection, rows.fields)
        self._load(collection.name)
        table = to_table(collection, rows)
        step = chunk_rows(collection, table)
        for start in range(0, len(table), step):
            self._client.upsert(collection.name, table.slice(start, step).to_pylist())

    def delete(self, collection: Collection, which: IntArray | Expr) -> None:
        """Remove rows by a filter."""
        self._load(collection.name)
        if isinstance(which, Expr):
            self._client.delete(collection.name, filter=self._condition(collection, which))
            return
        for start in range(0, len(which), _AT_ONCE):
            self._client.delete(collection.name, ids=which[start : start + _AT_ONCE].tolist())

    def count(self, collection: Collection, where: Expr) -> int:
        """Count the rows that pass; exact."""
        self._load(collection.name)
        condition = self._condition(collection, where)
        return int(self._client.query(collection.name, filter=condition, output_fields=["count(*)"])[0]["count(*)"])

    def search(self, collection: Collection, queries: Vectors, k: int, *, where: Expr, exact: bool) -> IntArray:
        """Search by the index, or (``exact``) among all rows that pass."""
        self._load(collection.name)
        if exact:
            form = said(where, collection, says=MilvusLanguage.says, rows_of=lambda one: self._rows(collection, one))
            rows = self._rows(collection, form, vectors=True)
            return nearest_of(rows, queries, k, metric=collection.metric)
        options = {} if collection.index == "flat" else {"ef": max(2 * k, _LEAST_BEAM)}
        condition = "" if where == Constant(value=True) else self._condition(collection, where)
        found = self._client.search(
            collection.name, data=queries.tolist(), anns_field=VECTOR, limit=k, filter=condition, output_fields=[ID],
            search_params={"metric_type": _METRICS[collection.metric], "params": options},
        )  # fmt: skip
        return padded([[hit["id"] for hit in hits] for hits in found], k)

    def take(self, collection: Collection, ids: IntArray) -> Rows:
        """Return rows by id."""
        self._load(collection.name)
        records: list[Any] = []
        for start in range(0, len(ids), _AT_ONCE):
            chosen = written(with_ids(ids[start : start + _AT_ONCE]), MilvusLanguage())
            records += self._client.query(
                collection.name, filter=chosen, output_fields=_columns(collection, vectors=True)
            )
        return from_records(collection, records, vectors=True)

    def optimize(self, collection: Collection) -> None:
        """Seal what was written, so that it is indexed."""
        self._client.flush(collection.name)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _make(self, name: str, schema: Any, *, kind: str, metric: str, options: dict[str, int]) -> None:
        index = self._client.prepare_index_params()
        index.add_index(VECTOR, index_type=kind, metric_type=metric, params=options)
        self._client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
        self._loaded.discard(name)

    def _write_record(self, collection: Collection) -> None:
        if not self._client.has_collection(REGISTRY):
            kinds = self._api.DataType
            schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("name", kinds.VARCHAR, is_primary=True, max_length=64)
            schema.add_field(VECTOR, kinds.FLOAT_VECTOR, dim=2)  # Milvus has no collection without
            schema.add_field("record", kinds.VARCHAR, max_length=LONGEST)
            self._make(REGISTRY, schema, kind="FLAT", metric="L2", options={})
        self._load(REGISTRY)
        record = {"name": collection.name, VECTOR: [0.0, 0.0], "record": collection.to_json()}
        self._client.upsert(REGISTRY, [record])

    def _load(self, name: str) -> None:
        """Ask for a collection in memory, without which Milvus does not answer."""
        if name not in self._loaded:
            self._client.load_collection(name)
            self._loaded.add(name)

    def _condition(self, collection: Collection, where: Expr) -> str:
        form = said(where, collection, says=MilvusLanguage.says, rows_of=lambda one: self._rows(collection, one))
        return written(form, MilvusLanguage())

    def _rows(self, collection: Collection, form: Expr, *, vectors: bool = False) -> Rows:
        """Return all rows that pass a filter in normal form, page by page."""
        records: list[Any] = []
        pages = self._client.query_iterator(
            collection.name, batch_size=_AT_ONCE, filter=written(form, MilvusLanguage()),
            output_fields=_columns(collection, vectors=vectors),
        )  # fmt: skip
        try:
            while page := pages.next():
                records += page
        finally:
            pages.close()
        return from_records(collection, records, vectors=vectors)


def connect(place: str, *, token: str) -> MilvusEngine:
    """Open a file of milvus-lite (a path), or connect to a server (http:// or https://, perhaps with a token)."""
    api = require("pymilvus", "milvus")
    logging.getLogger("pymilvus").setLevel(logging.ERROR)  # it warns on stderr of what milvus-lite does not have
    local = "://" not in place
    if local:
        require("milvus_lite", "milvus")
        if token:
            raise InputError("token", got="a token", expected="none for a file of milvus-lite")
        if not place.endswith(".db"):
            raise InputError("uri", got=repr(place), expected="a path that ends in .db, as milvus-lite wants it")
        Path(place).resolve().parent.mkdir(parents=True, exist_ok=True)
    try:
        client = api.MilvusClient(place, token=token, grpc_options={"grpc.keepalive_time_ms": _KEEP_ALIVE})
    except api.exceptions.MilvusException as error:
        raise StoreError(f"{place}: {str(error).splitlines()[0]:.300}") from error
    return MilvusEngine(client, api)


def _columns(collection: Collection, *, vectors: bool) -> list[str]:
    return [ID, *([VECTOR] if vectors else []), *collection.columns.values()]


def _check_sizes(collection: Collection, fields: pa.Table) -> None:
    """Refuse texts and lists that Milvus can't hold."""
    for name, kind in collection.fields.items():
        texts = fields[name]
        if kind is FieldType.TEXTS:
            if (pc.max(pc.list_value_length(texts)).as_py() or 0) > MOST_TEXTS:
                raise InputError(f"fields[{name!r}]", got="a longer list", expected=f"up to {MOST_TEXTS} texts")
            texts = pc.list_flatten(texts)
        if kind in (FieldType.TEXT, FieldType.TEXTS) and (pc.max(pc.binary_length(texts)).as_py() or 0) > LONGEST:
            raise InputError(f"fields[{name!r}]", got="a longer text", expected=f"up to {LONGEST} bytes in Milvus")


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value.translate(_ESCAPES)}"' if isinstance(value, str) else repr(value)


def _listed(values: Iterable[Any]) -> str:
    return f"[{', '.join(map(_literal, values))}]"
