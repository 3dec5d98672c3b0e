"""What a graph is, and what compiled walks on it and their twin in NumPy agree on; without numba."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan.layout import Memory, memory_of
from spaceform.types import IntArray

LARGE = 4_000_000
"""Rows from which on ``graph="auto"`` builds one. Measured are up to a million: there walks took as long as the cells,
and the build 2.5 times as long; with fewer rows cells were faster. The time of the cells grows with their number, the
root of that of the rows; that of a walk hardly does."""

_FEWEST = 256
"""Fewer rows are scanned, always."""

DEGREE = 32
"""Links of a row, at most."""

PROBED = 6
"""Groups whose captains are looked at."""

AROUND, CLOSEST, STARTS = 16, 4, 8
"""Nearest captains whose cells tell how dense matches are around a query, all and the first of them; and nearest ones
that pass, at which a walk begins."""

DRAWN = 16
"""Rows at which a walk begins to which no captain leads."""

WIDTH = 2
"""Rows of the beam whose links are followed at once: what they lead to is fetched while others are compared."""

ENOUGH = 24
"""Passing rows after which no more links of failing rows are followed from these."""

CLOSE = 0.75
"""Matches that are rarer around a query than overall by this factor are far from it."""

_KINDS = np.int32, np.int32, np.int64, np.int32


class _Graph(NamedTuple):
    links: NDArray[np.int32]
    captains: NDArray[np.int32]
    groups: IntArray
    leaders: NDArray[np.int32]


class Graph(_Graph):
    """Links of n rows, and where walks begin.

    ``links (n, DEGREE)`` int32, nearest first, -1 where there are no more. ``captains`` are rows, one per cell, group
    by group: those of group g stand from ``groups[g]`` to ``groups[g + 1]``; ``leaders`` are the rows that stand for
    the groups.
    """

    @cached_property
    def memory(self) -> Memory:
        """Where the arrays lie."""
        return memory_of(self, _KINDS)


def is_wanted(graph: bool | str, n: int, recall: float, *, compiled: bool) -> bool:
    """Return whether so many rows are linked: never where recall is 1, as nothing bounds what a walk has missed.

    "auto" links no rows where walks are not compiled.
    """
    chosen = n >= LARGE and compiled if graph == "auto" else bool(graph)
    return chosen and recall < 1 and n >= _FEWEST
