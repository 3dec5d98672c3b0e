"""Graphs without attributes: a filter that is called back for every vertex, and asking for more than is needed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filters import Expr
from spaceform.types import IntArray
from spaceform.workflows.benching.searching.masks import Masks
from spaceform.workflows.benching.searching.method import Method, Setting, padded


class Hnswlib(Method):
    """hnswlib with its filter, a Python function called for every vertex that is met."""

    name = "hnswlib, filter"
    package = "hnswlib"
    largest = 2_000_000
    grid = tuple({"ef": ef} for ef in (16, 32, 64, 128, 256, 512))

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Insert all rows."""
        self._masks = Masks(columns, len(X))
        self._index = import_module("hnswlib").Index("ip", X.shape[1])
        self._index.init_index(len(X), M=16, ef_construction=100, random_seed=0)
        self._index.add_items(X, num_threads=2)
        self._threads = 1

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Search; it raises where it finds fewer than k, which counts as nothing found."""
        mask = self._masks(where)
        self._index.set_ef(max(k, setting["ef"]))
        try:
            found = self._index.knn_query(Q, k, num_threads=self._threads, filter=mask.item)[0]
        except RuntimeError:
            return np.full((len(Q), k), -1)
        return np.asarray(found, dtype=np.int64)

    def threads(self, count: int) -> None:
        """Remember the number."""
        self._threads = count

    def bytes_held(self) -> float:
        """Return what it would write."""
        return float(self._index.index_file_size())


class HnswlibPost(Hnswlib):
    """hnswlib asked for more and more neighbours until enough of them pass."""

    name = "hnswlib, post-filter"
    grid = tuple({"factor": factor} for factor in (1, 2, 4, 8))

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Start with k over the selectivity, times a factor; double while some query is short."""
        mask = self._masks(where)

        def search(rows: NDArray[np.float32], wanted: int) -> IntArray:
            self._index.set_ef(wanted)
            return np.asarray(self._index.knn_query(rows, wanted, num_threads=self._threads)[0], dtype=np.int64)

        return over_fetched(search, Q, k, mask=mask, factor=setting["factor"])


class Usearch(Method):
    """usearch, over-fetching: its Python binding has no filter."""

    name = "usearch, over-fetching"
    package = "usearch"
    largest = 2_000_000
    grid = tuple({"factor": factor} for factor in (1, 2, 4, 8))

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Insert all rows."""
        self._masks = Masks(columns, len(X))
        self._index = import_module("usearch.index").Index(
            ndim=X.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=100
        )
        self._index.add(np.arange(len(X)), X, threads=2)
        self._threads = 1

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Ask for more, and drop what does not pass."""
        mask = self._masks(where)

        def search(rows: NDArray[np.float32], wanted: int) -> IntArray:
            self._index.expansion_search = max(64, wanted)
            found = self._index.search(rows, wanted, threads=self._threads)
            return np.asarray(found.keys, dtype=np.int64).reshape(len(rows), -1)

        return over_fetched(search, Q, k, mask=mask, factor=setting["factor"])

    def threads(self, count: int) -> None:
        """Remember the number."""
        self._threads = count

    def bytes_held(self) -> float:
        """Return its own account."""
        return float(self._index.memory_usage)


class Voyager(Method):
    """voyager, over-fetching: it has no filter."""

    name = "voyager, over-fetching"
    package = "voyager"
    largest = 2_000_000
    grid = tuple({"factor": factor} for factor in (1, 2, 4, 8))

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Insert all rows."""
        self._masks = Masks(columns, len(X))
        voyager = import_module("voyager")
        self._index = voyager.Index(voyager.Space.InnerProduct, X.shape[1], M=16, ef_construction=100, random_seed=0)
        self._index.add_items(X, num_threads=2)
        self._threads = 1

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Ask for more, and drop what does not pass."""
        mask = self._masks(where)

        def search(rows: NDArray[np.float32], wanted: int) -> IntArray:
            found = self._index.query(rows, wanted, num_threads=self._threads, query_ef=max(64, wanted))[0]
            return np.asarray(found, dtype=np.int64)

        return over_fetched(search, Q, k, mask=mask, factor=setting["factor"])

    def threads(self, count: int) -> None:
        """Remember the number."""
        self._threads = count

    def bytes_held(self) -> float:
        """Return what it would write."""
        return float(len(self._index.as_bytes()))


_MOST = 4_096
"""Neighbours asked for at most: beyond, an over-fetching graph is slower than a scan, and the rest is given up."""


def over_fetched(search: Any, Q: NDArray[np.float32], k: int, *, mask: NDArray[np.bool_], factor: float) -> IntArray:
    """Return what passes among ever more neighbours: ``factor k / selectivity`` first, then twice as many."""
    passing = int(mask.sum())
    enough, most = min(k, passing), min(len(mask), _MOST)
    if not passing:
        return np.full((len(Q), k), -1)
    wanted = min(most, max(k, int(factor * k * len(mask) / passing)))
    while True:
        found = search(Q, wanted)
        kept = [row[mask[row]][:k] for row in found]
        if wanted == most or all(len(row) >= enough for row in kept):
            return padded(kept, len(Q), k)
        wanted = min(most, 2 * wanted)
