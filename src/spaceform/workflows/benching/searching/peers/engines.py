"""Engines with attributes and filters of their own, in this process."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filters import Between, Comparison, Contains, Expr
from spaceform.types import IntArray
from spaceform.workflows.benching.searching.masks import conjuncts, milvus, sql
from spaceform.workflows.benching.searching.method import Method, Setting, padded
from spaceform.workflows.benching.searching.peers.scans import arrow_table

_BLOCK = 2_000


class _OnDisk(Method):
    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="spaceform-bench-"))

    def __del__(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def bytes_held(self) -> float:
        """Return the bytes on the disk."""
        return float(sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file()))


class Qdrant(_OnDisk):
    """qdrant-edge, the server's engine: indexes of the attributes first, then its graph."""

    name = "qdrant-edge"
    package = "qdrant_edge"
    reason = "to take in 50,000 rows it needs a minute, and it holds 11 kB of each on the disk"
    grid = tuple({"hnsw_ef": ef} for ef in (16, 32, 64, 128, 256))

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Upsert points with their payload, and let it build its graph."""
        self._q = q = import_module("qdrant_edge")
        hnsw = q.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000)
        vectors = q.EdgeVectorParams(size=X.shape[1], distance=q.Distance.Dot, hnsw_config=hnsw)
        self._shard = q.EdgeShard.create(str(self._folder), q.EdgeConfig(vectors=vectors))
        kinds = q.PayloadSchemaType
        for name, values in columns.items():
            number = isinstance(values, np.ndarray)
            kind = (kinds.Float if values.dtype.kind == "f" else kinds.Integer) if number else kinds.Keyword
            self._shard.update(q.UpdateOperation.create_field_index(name, kind))
        for start in range(0, len(X), _BLOCK):
            stop = min(start + _BLOCK, len(X))
            payloads = ({name: _plain(values[row]) for name, values in columns.items()} for row in range(start, stop))
            points = [
                q.Point(row, X[row].tolist(), held) for row, held in zip(range(start, stop), payloads, strict=True)
            ]
            self._shard.update(q.UpdateOperation.upsert_points(points))
        self._shard.optimize()

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Ask one query after the other."""
        q = self._q
        chosen = q.Filter(must=[self._condition(part) for part in conjuncts(where)])
        parameters = q.SearchParams(hnsw_ef=setting["hnsw_ef"])
        asked = (
            q.QueryRequest(limit=k, query=q.Query.Nearest(row.tolist()), filter=chosen, params=parameters) for row in Q
        )
        return padded(([point.id for point in self._shard.query(one)] for one in asked), len(Q), k)

    def _condition(self, where: Expr) -> Any:
        q = self._q
        if isinstance(where, Comparison):
            return q.FieldCondition(key=where.column, match=q.MatchValue(where.value.value))
        if isinstance(where, Contains):
            return q.FieldCondition(key=where.column, match=q.MatchValue(where.texts[0]))
        assert isinstance(where, Between)  # noqa: S101  cells draw nothing else
        ends = q.RangeFloat(gte=float(where.low.value), lte=float(where.high.value))  # type: ignore[arg-type]
        return q.FieldCondition(key=where.column, range=ends)


class Lance(_OnDisk):
    """lancedb: SQL filters before an inverted file, with indexes of the attributes."""

    name = "lancedb"
    package = "lancedb"
    largest = 2_000_000
    grid = tuple({"nprobes": probes, "refine": 4} for probes in (4, 16, 64, 256))

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Write a table and index its columns."""
        self._table = import_module("lancedb").connect(str(self._folder)).create_table("t", arrow_table(X, columns))
        index = import_module("lancedb.index")
        for name, values in columns.items():
            single = isinstance(values, np.ndarray) or isinstance(values[0], str)
            self._table.create_index(name, config=index.BTree() if single else index.LabelList())
        lists = max(1, int(len(X) ** 0.5))
        self._table.create_index("v", config=index.IvfSq(distance_type="dot", num_partitions=lists))

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Ask one query after the other."""
        text = sql(where, "array_has")

        def ask(row: NDArray[np.float32]) -> Any:
            search = self._table.search(row, vector_column_name="v").distance_type("dot")
            chosen = search.where(text, prefilter=True).nprobes(setting["nprobes"]).refine_factor(setting["refine"])
            return chosen.limit(k).select(["id", "_distance"]).to_arrow()["id"].to_numpy()

        return padded(map(ask, Q), len(Q), k)


class Milvus(_OnDisk):
    """milvus-lite, which evaluates filters row by row in Python."""

    name = "milvus-lite"
    package = "milvus_lite"
    largest = 10_000
    reason = "a call takes half a second on 6,000 rows, and seconds on 50,000"
    grid = ({"nprobe": 32},)

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Insert rows with typed fields, and index the vectors."""
        p = import_module("pymilvus")
        self._client = p.MilvusClient(str(self._folder / "m.db"))
        schema = self._client.create_schema(auto_id=False)
        schema.add_field("id", p.DataType.INT64, is_primary=True)
        schema.add_field("v", p.DataType.FLOAT_VECTOR, dim=X.shape[1])
        for name, values in columns.items():
            if isinstance(values, np.ndarray):
                schema.add_field(name, p.DataType.DOUBLE if values.dtype.kind == "f" else p.DataType.INT64)
            elif isinstance(values[0], str):
                schema.add_field(name, p.DataType.VARCHAR, max_length=512)
            else:
                schema.add_field(
                    name, p.DataType.ARRAY, element_type=p.DataType.VARCHAR, max_capacity=1_024, max_length=256
                )
        self._client.create_collection("t", schema=schema)
        for start in range(0, len(X), _BLOCK):
            rows = range(start, min(start + _BLOCK, len(X)))
            held = ({name: _plain(values[row]) for name, values in columns.items()} for row in rows)
            self._client.insert("t", [{"id": row, "v": X[row], **one} for row, one in zip(rows, held, strict=True)])
        wanted = self._client.prepare_index_params()
        wanted.add_index("v", index_type="IVF_FLAT", metric_type="IP", params={"nlist": max(1, int(len(X) ** 0.5))})
        self._client.create_index("t", wanted)
        self._client.load_collection("t")

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Ask."""
        parameters = {"metric_type": "IP", "params": dict(setting)}
        found = self._client.search("t", data=list(Q), filter=milvus(where), limit=k, search_params=parameters)
        return padded(([hit["id"] for hit in hits] for hits in found), len(Q), k)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else list(value) if isinstance(value, tuple) else value
