"""How scans run: choose the kernels, share the queries among threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.batches.threads import share
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.search.filtered.scan.layout import METRICS, Base, HasMemory, Layout
from spaceform.search.filtered.scan.plans import BITS, CELLS, GRAPH, PRIVATE, PRODUCT, SCAN
from spaceform.search.filtered.scan.queries import share_of
from spaceform.types import FloatArray, IntArray

PLANS = {"S": SCAN, "B": BITS, "I": CELLS, "P": PRIVATE, "M": PRODUCT, "G": GRAPH}
"""S: all matches, by 8 bits. B: all, by 1 bit first. I: the most promising cells. P: those of a private list. M: all,
by one matrix product for many queries. G: those to which the links of a graph lead (`graph.walking`)."""

NAMES = {code: name for name, code in PLANS.items()}
NONE = -1
"""No plan: the choice is open, or nothing is to be run."""

_INT64 = np.dtype(np.int64)

_SHARED = 2**24
"""Multiply-adds from which on threads share the rows of a product: fewer take less than to wake a thread."""

_ONE_CELL = np.ones(1, np.int64)
_NOTHING = np.zeros(1)
_NO_PLACES = np.empty(0, np.int32)
_CODES = {metric: code for code, metric in enumerate(METRICS)}


class Found(NamedTuple):
    """Answers ``closeness`` and ``ids (q, k)``, filled with -inf and -1; ``seen (q, 2)`` rows screened, and scored."""

    closeness: FloatArray
    ids: IntArray
    seen: IntArray

    @classmethod
    def room(cls, q: int, k: int) -> Found:
        """Return room for answers, not filled yet."""
        return cls(np.empty((q, k)), np.empty((q, k), _INT64), np.empty((q, 2), _INT64))


class Wanted(NamedTuple):
    """What to run: a plan, or (`NONE`) the cells where they are expected to take less than ``other`` does.

    ``near`` and ``far`` are shares of a cell's radius, the latter for queries around which matches are rarer than
    ``density``. ``everything`` are the seconds of opening all cells with matches, ``beginning`` those of opening none,
    and ``each`` those of a match in cells that are opened; ``at`` and ``seconds`` the costs of the cell plan by
    matches, ascending. For a graph ``near`` and ``far`` are lengths of the beam (0: give up).
    """

    plan: int
    other: int = NONE
    other_seconds: float = 0.0
    near: float = 1.0
    far: float = 1.0
    density: float = 0.0
    everything: float = 0.0
    beginning: float = 0.0
    each: float = 0.0
    at: FloatArray = _NOTHING
    seconds: FloatArray = _NOTHING


class Kernels(NamedTuple):
    """The functions that scan, compiled or in NumPy."""

    ask: Callable[..., None]
    positions: Callable[[Words, int], NDArray[np.integer[Any]]]
    cell_counts: Callable[[Words, IntArray], IntArray]
    multiply: Callable[..., None]
    join: Callable[..., None]


@cache
def _kernels(*, compiled: bool) -> Kernels:
    """Return one or the other; numba, which takes a second to load, is loaded for those that are compiled only."""
    if compiled:
        from spaceform.search.filtered.scan import addresses, asking
        from spaceform.search.filtered.scan.batches.many import join

        return Kernels(addresses.ask, asking.positions, asking.cell_counts, addresses.multiply, join)
    from spaceform.search.filtered.scan import reference

    return Kernels(reference.ask, bitmaps.positions, reference.cell_counts, reference.multiply, reference.join)


@dataclass(frozen=True)
class Engine:
    """How scans run: the metric, compiled or in NumPy, and on how many threads."""

    metric: str
    compiled: bool = True
    threads: int = 1

    @cached_property
    def kernels(self) -> Kernels:
        """The functions that scan."""
        return _kernels(compiled=self.compiled)

    def scan(
        self, wanted: Wanted, queries: NDArray[np.float32], k: int, *, words: Words, base: Base, layout: Layout,
        recall: float, places: NDArray[np.int32] | None = None,
    ) -> tuple[Found, FloatArray]:  # fmt: skip
        """Answer queries; return also ``(q, 2)``: the plan that each took, and the seconds predicted for the cells.

        Matches are ``words``, or if they are known ``places`` in ascending order; with these compiled plans that use no
        cells need no words. O(q (D log D + screened rows d)), and O(q d n_cells) for plans that use cells.
        """
        if wanted.plan == PRODUCT:
            found_places = self.kernels.positions(words, len(base.ids)) if places is None else places
            return self._multiplied(queries, k, places=found_places, base=base, layout=layout)
        q, d = queries.shape
        plan, kernels, counts = wanted.plan, self.kernels, _ONE_CELL
        if plan not in (SCAN, BITS):
            alone = plan == PRIVATE
            counts = np.ones(layout.n_cells, np.int64) if alone else kernels.cell_counts(words, layout.starts)
        found = Found.room(q, k)
        told = np.empty((q, 2))
        numbers = (*wanted[:9], share_of(recall, d), share_of(recall, layout.signs.shape[1]), *wanted[9:])
        matches = words, counts, _NO_PLACES if places is None else places
        data = self.handed(base, layout)
        shared = _CODES[self.metric], numbers, matches, *data, queries
        outputs = (*found, told)
        self.shared_out(lambda first, last: kernels.ask(*shared, first, last, outputs), q)
        return found, told

    def _multiplied(
        self, queries: NDArray[np.float32], k: int, *, places: NDArray[np.integer[Any]], base: Base, layout: Layout
    ) -> tuple[Found, FloatArray]:
        """Answer by a matrix product, whose rows the threads share; O(q m d)."""
        kernels, (q, d) = self.kernels, queries.shape
        parts = self.threads if len(places) * q * d >= _SHARED else 1
        scores, ids = np.empty((parts, q, k)), np.empty((parts, q, k), _INT64)
        sizes, seen = np.zeros((parts, q), _INT64), np.zeros((parts, q, 2), _INT64)
        data = self.handed(base, layout)

        def work(part: int, first: int, last: int) -> None:
            outputs = scores[part], ids[part], sizes[part], seen[part]
            kernels.multiply(_CODES[self.metric], places[first:last], *data, queries, outputs)

        share(work, len(places), parts)
        found = Found.room(q, k)
        kernels.join((scores, ids, sizes, seen), *found)
        told = np.full((q, 2), np.inf)
        told[:, 0] = PRODUCT
        return found, told

    def handed(self, *some: HasMemory) -> Sequence[Any]:
        """Return what kernels are given: addresses, which hold while the caller holds these, or in NumPy the arrays."""
        return [one.memory.address for one in some] if self.compiled else some

    def shared_out(self, run: Callable[[int, int], None], q: int) -> None:
        """Run queries from a first to a last one, in as many parts as there are threads."""
        share(lambda _, first, last: run(first, last), q, min(self.threads, q))
