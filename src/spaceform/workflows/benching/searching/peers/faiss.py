"""faiss: flat scan, inverted lists and a graph, each with a bitmap of the rows that pass."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filters import Expr
from spaceform.types import IntArray
from spaceform.workflows.benching.searching.masks import Masks
from spaceform.workflows.benching.searching.method import Method, Setting


class _Faiss(Method):
    package = "faiss"
    largest = 2_000_000

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Train and add."""
        self._faiss = import_module("faiss")
        self._masks = Masks(columns, len(X))
        self._index = self._made(len(X), X.shape[1])
        self._index.train(X)
        self._index.add(X)

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Turn the filter into a bitmap, and search."""
        bits = np.packbits(self._masks(where), bitorder="little")
        parameters = self._parameters(self._faiss.IDSelectorBitmap(bits), setting)
        found: IntArray = self._index.search(Q, k, params=parameters)[1]
        return found

    def threads(self, count: int) -> None:
        """Set those of OpenMP."""
        import_module("faiss").omp_set_num_threads(count)

    def bytes_held(self) -> float:
        """Return what it would write."""
        return float(len(self._faiss.serialize_index(self._index)))

    def _made(self, n: int, d: int) -> Any:
        raise NotImplementedError

    def _parameters(self, selector: Any, setting: Setting) -> Any:
        raise NotImplementedError


class FaissFlat(_Faiss):
    """A scan of all rows that skips those that do not pass."""

    name = "faiss Flat"

    def _made(self, n: int, d: int) -> Any:
        return self._faiss.IndexFlatIP(d)

    def _parameters(self, selector: Any, setting: Setting) -> Any:
        return self._faiss.SearchParameters(sel=selector)


class FaissIvf(_Faiss):
    """Inverted lists around ``4 sqrt(n)`` centroids, of which some are opened."""

    name = "faiss IVF"
    grid = tuple({"nprobe": probes} for probes in (2, 4, 8, 16, 32, 64, 128, 256, 1024))

    def _made(self, n: int, d: int) -> Any:
        index = self._faiss.IndexIVFFlat(
            self._faiss.IndexFlatIP(d), d, max(1, int(4 * n**0.5)), self._faiss.METRIC_INNER_PRODUCT
        )
        index.cp.min_points_per_centroid, index.cp.niter = 1, 8
        return index

    def _parameters(self, selector: Any, setting: Setting) -> Any:
        return self._faiss.SearchParametersIVF(sel=selector, nprobe=setting["nprobe"])


class FaissHnsw(_Faiss):
    """A graph whose walk passes every vertex and keeps those that pass the filter."""

    name = "faiss HNSW"
    grid = tuple({"efSearch": ef} for ef in (16, 32, 64, 128, 256, 512, 2048))

    def _made(self, n: int, d: int) -> Any:
        index = self._faiss.IndexHNSWFlat(d, 16, self._faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 100
        return index

    def _parameters(self, selector: Any, setting: Setting) -> Any:
        return self._faiss.SearchParametersHNSW(sel=selector, efSearch=setting["efSearch"])
