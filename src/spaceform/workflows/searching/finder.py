"""What finds the neighbours of a vector among the rows that pass a filter, and tells how: an index, or all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import ArrayLike

from spaceform.search.exact import Nearest, exact_search
from spaceform.search.filtered.choice import Plan
from spaceform.search.filtered.index import FilteredIndex
from spaceform.search.filters import Expr, as_expression
from spaceform.space import Space
from spaceform.space_rows import ID
from spaceform.types import BoolArray, FloatArray, IntArray

Check = Callable[[], None]
"""What long work calls between its steps; it raises when nobody waits for the answer any more."""

METRIC = {"sphere": "cosine", "euclidean": "euclidean", "poincare": "poincare"}
"""How closeness is measured in each geometry."""

ALL = "all"
"""The name of the plan that compares every row that passes."""

_BLOCK = 65_536
"""Rows compared between two checks."""


def unchecked() -> None:
    """Go on, whoever waits."""


@dataclass(frozen=True)
class Finder:
    """Rows of one Space, found through its ``index`` or, in the ball (None), by comparing all that pass."""

    space: Space
    index: FilteredIndex | None

    def passing(self, where: Expr | None) -> IntArray:
        """Return the positions of the rows that pass, ascending; raises ``FilterError``."""
        if self.index is not None:
            return self.index.matching(self._for_index(where))
        return np.flatnonzero(self._mask(where))

    def vectors(self, rows: IntArray) -> FloatArray:
        """Return the vectors ``(m, d)`` of rows by their positions, from memory."""
        return self.space.vectors[rows] if self.index is None else self.index.take(rows)[0]

    def nearest(
        self, vector: ArrayLike, k: int, *, where: Expr | None, own: int | None = None, check: Check = unchecked
    ) -> tuple[Nearest, Plan]:
        """Return rows and closeness ``(1, min(k, matches))`` nearest to a vector ``(d,)``, and the plan.

        The row ``own`` is no answer. ``check`` is called between the steps. Raises ``FilterError``.
        """
        if self.index is None:
            return self._among_all(np.asarray(vector)[None], k, where=where, own=own, check=check)
        found, plan = self.index.query_one(vector, k + (own is not None), where=self._for_index(where))
        check()
        if own is None:
            return found, plan
        others = np.flatnonzero(found.rows[0] != own)[:k]
        return Nearest(found.rows[:, others], found.closeness[:, others]), plan

    def _among_all(
        self, vector: np.ndarray, k: int, *, where: Expr | None, own: int | None, check: Check
    ) -> tuple[Nearest, Plan]:
        begun = perf_counter()
        mask = self._mask(where)
        matches, filtered = int(mask.sum()), perf_counter() - begun
        if own is not None:
            mask[own] = False
        found = Nearest(np.empty((1, 0), np.int64), np.empty((1, 0)))
        for start in range(0, len(self.space), _BLOCK):
            check()
            rows = self.space.vectors[start : start + _BLOCK]
            part = exact_search(
                vector, rows, k=k, metric=METRIC[self.space.geometry], mask=mask[start : start + len(rows)]
            )
            found = _best(found, Nearest(part.rows + start, part.closeness), k)
        took = perf_counter() - begun
        return found, Plan(ALL, matches, {}, 1e3 * took, 1e3 * filtered, 0, int(mask.sum()))

    def _for_index(self, where: Expr | None) -> Expr | BoolArray | None:
        """Return the filter as the index takes it, whose own ids are positions: one on ids becomes a mask."""
        return where if where is None or ID not in where.columns() else self._mask(where)

    def _mask(self, where: Expr | None) -> BoolArray:
        return as_expression(where).mask(self.space.table)


def _best(a: Nearest, b: Nearest, k: int) -> Nearest:
    rows, closeness = np.hstack([a.rows, b.rows]), np.hstack([a.closeness, b.closeness])
    order = np.lexsort((rows[0], -closeness[0]))[:k]
    return Nearest(rows[:, order], closeness[:, order])
