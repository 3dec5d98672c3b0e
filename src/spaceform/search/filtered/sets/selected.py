"""Rows that pass a filter: listed where they are few, else as bits; the bits of a list are made when asked for.

A list of a hundred rows is scanned as it is; as bits it would be marked, counted and listed again, over all words.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan.bitmaps import Words

_SORTED = 256
"""Rows out of order are sorted, not marked as bits, where they are fewer than one in so many."""


class Marked:
    """A set of ``count`` rows as bits."""

    __slots__ = ("count", "words")
    places: Final = None

    def __init__(self, words: Words, count: int) -> None:
        """Hold both."""
        self.words = words
        self.count = count


class Listed:
    """A set of few of ``n`` rows: their ``places``, int32, ascending, in memory that kernels may be handed."""

    __slots__ = ("_mark", "_n", "_words", "count", "places")

    def __init__(self, places: NDArray[np.int32], n: int, sets: ModuleType) -> None:
        """Hold the list; ``sets`` are the functions by which it is marked."""
        self.places = places
        self.count = len(places)
        self._n = n
        self._mark = sets.mark
        self._words: Words | None = None

    @property
    def words(self) -> Words:
        """The same rows as bits; made once, or twice by threads that ask at one time."""
        words = self._words
        if words is None:
            words = self._words = self._mark(self.places, self._n)
        return words


Selected: TypeAlias = Marked | Listed


def in_order(rows: NDArray[np.int32], n: int, sets: ModuleType) -> Selected:
    """Return a set of rows given in any order; O(rows log rows) for few of them, else O(rows + n / 64)."""
    if _SORTED * len(rows) < n:
        return Listed(np.sort(rows), n, sets)
    return Marked(sets.mark(rows, n), len(rows))


@cache
def functions(*, compiled: bool) -> ModuleType:
    """Return what works on sets of rows: compiled, or in NumPy, for which numba is not loaded."""
    if compiled:
        from spaceform.search.filtered.sets import marking

        return marking
    from spaceform.search.filtered.sets import plain

    return plain
