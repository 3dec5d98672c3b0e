"""Cells: filters of one kind that let one share of the rows through, drawn from the values that the data hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spaceform.search.filters import Expr, F
from spaceform.types import FloatArray, IntArray

SHARES = (0.5, 0.2, 0.05, 0.01, 0.002, 0.0002)
"""Selectivities: shares of the rows that pass."""

_WITHIN = 2.0
"""A value of a category stands for a selectivity if its own is at most so many times more or less."""

Drawn = list[Expr]


@dataclass(frozen=True)
class Cell:
    """Filters ``where``, one per query (first those to tune with, then those to measure with), of one ``kind``.

    ``kind`` is "EM" (equals), "R" (range), "EMIS" (set contains), "C" (conjunction) or "R, positive" and the like,
    where it tells the correlation with the query. ``share`` is the selectivity aimed at.
    """

    kind: str
    share: float
    where: Sequence[Expr]

    @property
    def name(self) -> str:
        """Kind and selectivity, as in "R 0.2%"."""
        return self.kind if np.isnan(self.share) else f"{self.kind} {100 * self.share:g}%"


class Drawer:
    """Draws filters for a table of columns of n rows: texts, numbers, tuples of texts."""

    def __init__(self, columns: Mapping[str, Any], n: int) -> None:
        """Take the columns; their values are counted, and their numbers sorted, when they are first asked of."""
        self._columns, self._n = columns, n
        self._rows: dict[str, dict[str, IntArray]] = {}
        self._sorted: dict[str, FloatArray] = {}

    def cells(
        self, generator: np.random.Generator, n_queries: int, *,
        equal: Sequence[str], ranges: Sequence[str], sets: Sequence[str],
    ) -> list[Cell]:  # fmt: skip
        """Return the cells for which the data have values: EM, R, EMIS and C at every selectivity.

        Which cells there are depends on the data only, the filters in them on the generator.
        """
        self._generator = generator
        makers: dict[str, Callable[[float], Drawn | None]] = {
            "EM": lambda share: self._category(equal, share, n_queries, lambda c, v: F(c) == v),
            "R": lambda share: self._range(ranges, share, n_queries),
            "EMIS": lambda share: self._category(sets, share, n_queries, lambda c, v: F(c).contains(v)),
            "C": lambda share: self._conjunction(equal, ranges, share, n_queries),
        }
        made = [(kind, share, make(share)) for kind, make in makers.items() for share in SHARES]
        return [Cell(kind, share, where) for kind, share, where in made if where]

    def _values(self, column: str) -> dict[str, IntArray]:
        """Return the rows of every value of a column of texts or of tuples of texts."""
        if column not in self._rows:
            owners: dict[str, list[int]] = {}
            for row, held in enumerate(self._columns[column]):
                for value in (held,) if isinstance(held, str) else held:
                    owners.setdefault(value, []).append(row)
            self._rows[column] = {value: np.array(rows) for value, rows in owners.items()}
        return self._rows[column]

    def _near(self, columns: Sequence[str], low: float, high: float) -> list[tuple[str, str, int]]:
        return [
            (column, value, len(rows))
            for column in columns
            for value, rows in self._values(column).items()
            if low * self._n <= len(rows) <= high * self._n and value
        ]

    def _category(
        self, columns: Sequence[str], share: float, n_queries: int, make: Callable[[str, str], Expr]
    ) -> Drawn | None:
        found = self._near(columns, share / _WITHIN, share * _WITHIN)
        if not found:
            return None
        picked = self._generator.integers(len(found), size=n_queries)
        return [make(*found[i][:2]) for i in picked]

    def _range(self, columns: Sequence[str], share: float, n_queries: int) -> Drawn:
        names = [columns[i] for i in self._generator.integers(len(columns), size=n_queries)]
        return [self._window(name, self._ordered(name), round(share * self._n)) for name in names]

    def _conjunction(self, equal: Sequence[str], ranges: Sequence[str], share: float, n_queries: int) -> Drawn | None:
        found = self._near(equal, share * 1.02, max(0.6, share * 20))
        if not found:
            return None
        made: Drawn = []
        for i in self._generator.integers(len(found), size=n_queries):
            column, value, _ = found[i]
            name = ranges[int(self._generator.integers(len(ranges)))]
            inside = np.sort(np.asarray(self._columns[name])[self._values(column)[value]])
            made.append((F(column) == value) & self._window(name, inside, round(share * self._n)))
        return made

    def _ordered(self, name: str) -> FloatArray:
        if name not in self._sorted:
            self._sorted[name] = np.sort(np.asarray(self._columns[name]))
        return self._sorted[name]

    def _window(self, name: str, ordered: FloatArray, wanted: int) -> Expr:
        """Return a range that holds about ``wanted`` of sorted values; ties at its ends may make it more."""
        size = min(max(1, wanted), len(ordered))
        first = int(self._generator.integers(len(ordered) - size + 1))
        return F(name).between(ordered[first].item(), ordered[first + size - 1].item())


def around(name: str, places: FloatArray, share: float) -> Drawn:
    """Return ranges of width ``share`` in [0, 1) that lie around each of ``places``."""
    low = np.clip(places - share / 2, 0, 1 - share)
    return [F(name).between(a, b) for a, b in zip(low.tolist(), (low + share).tolist(), strict=True)]
