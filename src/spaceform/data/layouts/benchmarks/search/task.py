"""A benchmark of search: rows with columns, queries with a filter each, and their true neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from spaceform.errors import InputError
from spaceform.types import IntArray


@dataclass(frozen=True, eq=False)
class SearchTask:
    """Vectors ``X (n, d)``, ``columns`` of length n, ``queries (q, d)``, and per query what is asked and true.

    ``asked`` holds conditions ``(column, operator, value)``, all of which must hold: "=" with a text or number,
    "between" with two ends that count, "contains" with a text. ``truth (q, k)`` are row numbers, nearest first, -1
    where fewer rows pass. Vectors and truths may be mapped from their files.
    """

    name: str
    X: NDArray
    columns: Mapping[str, Any]
    queries: NDArray
    asked: Sequence[Sequence[tuple[str, str, Any]]]
    truth: IntArray

    def __post_init__(self) -> None:
        """Refuse parts that do not fit."""
        q, n = len(self.queries), len(self.X)
        if self.X.ndim != 2 or self.queries.ndim != 2 or self.X.shape[1] != self.queries.shape[1]:
            got = f"rows {self.X.shape} and queries {self.queries.shape}"
            raise InputError("queries", got=got, expected="vectors of one width")
        if len(self.asked) != q or len(self.truth) != q:
            got = f"{q} queries, {len(self.asked)} filters, {len(self.truth)} answers"
            raise InputError("queries", got=got, expected="one filter and one answer for each")
        for name, column in self.columns.items():
            if len(column) != n:
                raise InputError(name, got=f"{len(column)} values", expected=f"{n}, one per row")
        if self.truth.size and not -1 <= int(self.truth.min()) <= int(self.truth.max()) < n:
            raise InputError("truth", got=f"row {self.truth.max()}", expected=f"rows from 0 to {n - 1}, or -1")
