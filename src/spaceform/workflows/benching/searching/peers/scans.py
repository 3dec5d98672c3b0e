"""Plain scans: one matrix product over the passing rows, and a database that computes every distance."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filters import Expr
from spaceform.types import IntArray
from spaceform.workflows.benching.searching.masks import Masks, sql
from spaceform.workflows.benching.searching.method import Method, Setting, padded


class Brute(Method):
    """BLAS: gather the passing rows, one product, a partial sort."""

    name = "BLAS"
    largest = 2_000_000

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Keep the rows."""
        self._X, self._masks = X, Masks(columns, len(X))

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Multiply; where most rows pass, all of them, and without a copy."""
        mask = self._masks(where)
        rows = np.flatnonzero(mask)
        if 4 * len(rows) > 3 * len(mask):
            scores = Q @ self._X.T
            scores[:, ~mask] = -np.inf
            rows = np.arange(len(mask))
        else:
            scores = Q @ self._X[rows].T
        if len(rows) > k:
            best = np.argpartition(-scores, k, axis=1)[:, :k]
        else:
            best = np.broadcast_to(np.arange(len(rows)), scores.shape)
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
        return padded(rows[np.take_along_axis(best, order, 1)], len(Q), k)

    def bytes_held(self) -> float:
        """Return the rows."""
        return float(self._X.nbytes)


class Duckdb(Method):
    """DuckDB: the filter in SQL, every distance computed, the best k."""

    name = "duckdb"
    package = "duckdb"
    largest = 2_000_000

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Make a table with a column of vectors."""
        self._base = import_module("duckdb").connect(":memory:", config={"threads": 1})
        self._base.register("given", arrow_table(X, columns))
        self._base.execute(f"CREATE TABLE t AS SELECT * REPLACE (v::FLOAT[{X.shape[1]}] AS v) FROM given")  # noqa: S608  a number
        self._base.unregister("given")
        self._width = X.shape[1]

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Ask one query after the other."""
        text = (
            f"SELECT id FROM t WHERE {sql(where, 'list_contains')} "  # noqa: S608  our own filters
            f"ORDER BY array_inner_product(v, ?::FLOAT[{self._width}]) DESC LIMIT {k}"
        )
        return padded(([row[0] for row in self._base.execute(text, [q.tolist()]).fetchall()] for q in Q), len(Q), k)

    def threads(self, count: int) -> None:
        """Let the database use so many."""
        if hasattr(self, "_base"):
            self._base.execute(f"SET threads = {count}")


def arrow_table(X: NDArray[np.float32], columns: Mapping[str, Any]) -> Any:
    """Return ids, vectors ``v`` and columns as an Arrow table."""
    import pyarrow as pa

    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), X.shape[1])
    held = {name: list(map(list, one)) if isinstance(one[0], tuple) else one for name, one in columns.items()}
    return pa.table({"id": np.arange(len(X)), "v": vectors, **{name: pa.array(one) for name, one in held.items()}})
