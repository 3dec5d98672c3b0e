"""Our own index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.index import FilteredIndex
from spaceform.search.filters import Expr
from spaceform.types import IntArray
from spaceform.workflows.benching.searching.method import Method, Setting


class Ours(Method):
    """`FilteredIndex`; the planner chooses, and each of its plans alone stands beside it."""

    name = "spaceform"
    largest = 100_000_000
    seconds = 1_800.0  # what it takes is printed
    grid = (
        {"recall": 0.9}, {"recall": 0.95}, {"recall": 0.98}, {"recall": 1.0},
        {"recall": 0.95, "plans": "S"}, {"recall": 0.95, "plans": "B"}, {"recall": 0.95, "plans": "I"},
    )  # fmt: skip

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Build; no filter is remembered, so that each is evaluated anew."""
        self._index = FilteredIndex(remembered=0).fit(X, columns)

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Ask."""
        self._index.plans = setting.get("plans", "auto")
        return self._index.query(Q, k, where=where, recall=setting["recall"]).rows

    def threads(self, count: int) -> None:
        """Share the queries of a batch."""
        if hasattr(self, "_index"):
            self._index.threads = count

    def bytes_held(self) -> float:
        """Return rows, codes and cells."""
        stats = self._index.stats_
        return float(stats["bytes_per_row"]) * stats["rows"]
