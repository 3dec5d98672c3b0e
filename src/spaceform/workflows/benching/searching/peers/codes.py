"""Scans of small codes under a list of ids or a mask."""

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


class RiiCodes(Method):
    """rii: product quantisation, a scan of the subset or inverted lists; its best are compared again exactly by us."""

    name = "rii"
    package = "rii"
    largest = 2_000_000
    grid = (
        *({"kept": kept, "way": "auto"} for kept in (10, 50, 200, 800)),
        *({"kept": kept, "way": "linear"} for kept in (50, 200, 800)),  # what it chooses itself is not always faster
    )

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Learn codes of four coordinates per byte, and encode."""
        nanopq, rii = import_module("nanopq"), import_module("rii")
        self._X, self._masks = X, Masks(columns, len(X))
        sample = X[np.random.default_rng(0).choice(len(X), min(len(X), 10_000), replace=False)]
        coder = nanopq.PQ(M=X.shape[1] // 4, verbose=False).fit(vecs=sample, iter=5, seed=0)
        self._index = rii.Rii(fine_quantizer=coder).add_configure(vecs=X)

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Search the subset, and order its best by their vectors."""
        rows = np.flatnonzero(self._masks(where))
        if not len(rows):
            return np.full((len(Q), k), -1)
        kept = min(len(rows), setting["kept"])
        found = []
        for q in Q:
            asked = self._index.query(q=q, topk=kept, target_ids=rows, sort_target_ids=False, method=setting["way"])
            ids = np.asarray(asked[0], dtype=np.int64)
            found.append(ids[np.argsort(-(self._X[ids] @ q), kind="stable")[:k]])
        return padded(found, len(Q), k)

    def bytes_held(self) -> float:
        """Return rows and codes."""
        return float(self._X.nbytes + self._X.nbytes / 16)


class Turbovec(Method):
    """turbovec: four bits per coordinate under a mask; its best are compared again exactly by us."""

    name = "turbovec"
    package = "turbovec"
    largest = 2_000_000
    grid = tuple({"kept": kept} for kept in (10, 20, 50, 200))

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Calibrate on a sample, and add."""
        self._X, self._masks = X, Masks(columns, len(X))
        self._index = import_module("turbovec").TurboQuantIndex(dim=X.shape[1], bit_width=4)
        self._index.calibrate(X[np.random.default_rng(0).choice(len(X), min(len(X), 1_024), replace=False)])
        self._index.add(X)
        self._index.prepare()

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Scan, and order the best by their vectors."""
        mask = self._masks(where)
        if not mask.any():
            return np.full((len(Q), k), -1)
        found = np.asarray(self._index.search(Q, setting["kept"], mask=mask)[1], dtype=np.int64)
        scores = np.einsum("qcd,qd->qc", self._X[found], Q)
        return padded(np.take_along_axis(found, np.argsort(-scores, axis=1, kind="stable"), 1)[:, :k], len(Q), k)

    def bytes_held(self) -> float:
        """Return rows and codes."""
        return float(self._X.nbytes * (1 + 1 / 8))
