"""How scans run: choose the kernels, share the queries among threads."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan import kernels, reference
from spaceform.search.filtered.scan.asking import ask, cell_counts
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.search.filtered.scan.kernels import positions
from spaceform.search.filtered.scan.layout import METRICS, Base, Layout
from spaceform.search.filtered.scan.queries import products_with, share_of
from spaceform.types import FloatArray, IntArray

PLANS = {"S": kernels.SCAN, "B": kernels.BITS, "I": kernels.CELLS, "P": kernels.PRIVATE, "M": kernels.PRODUCT}
"""S: all matches, by 8 bits. B: all, by 1 bit first. I: the most promising cells. P: those of a private list. M: all,
by one matrix product for many queries."""

NAMES = {code: name for name, code in PLANS.items()}
NONE = -1
"""No plan: the choice is open, or nothing is to be run."""

_ONE_CELL = np.ones(1, np.int64)
_NOTHING = np.zeros(1)
_NO_PLACES = np.empty(0, np.int32)
_CODES = {metric: code for code, metric in enumerate(METRICS)}


class Found(NamedTuple):
    """Answers ``closeness`` and ``ids (q, k)``, filled with -inf and -1; ``seen (q, 2)`` rows screened, and scored."""

    closeness: FloatArray
    ids: IntArray
    seen: IntArray


class Wanted(NamedTuple):
    """What to run: a plan, or (`NONE`) the cells where they are expected to take less than ``other`` does.

    ``near`` and ``far`` are shares of a cell's radius, the latter for queries around which matches are rarer than
    ``density``. ``everything`` are the seconds of opening all cells with matches; ``at`` and ``seconds`` the costs of
    the cell plan by matches, ascending.
    """

    plan: int
    other: int = NONE
    other_seconds: float = 0.0
    near: float = 1.0
    far: float = 1.0
    density: float = 0.0
    everything: float = 0.0
    at: FloatArray = _NOTHING
    seconds: FloatArray = _NOTHING


@dataclass(frozen=True)
class Engine:
    """How scans run: the metric, compiled or in NumPy, and on how many threads."""

    metric: str
    compiled: bool = True
    threads: int = 1

    def scan(
        self, wanted: Wanted, queries: NDArray[np.float32], k: int, *, words: Words, base: Base, layout: Layout,
        recall: float,
    ) -> tuple[Found, FloatArray]:  # fmt: skip
        """Answer queries; return also ``(q, 2)``: the plan that each took, and the seconds predicted for the cells.

        O(q (D log D + screened rows d)), and O(q d n_cells) for plans that use cells.
        """
        q, d = queries.shape
        plan = wanted.plan
        products, counts, places = np.empty((q, 0), np.float32), _ONE_CELL, _NO_PLACES
        if plan == kernels.PRODUCT:
            places = positions(words, len(base.ids))
            products = products_with(places, queries, base=base, layout=layout, metric=self.metric)
        elif plan not in (kernels.SCAN, kernels.BITS):
            alone = plan == kernels.PRIVATE
            counts = np.ones(layout.n_cells, np.int64) if alone else cell_counts(words, layout.starts)
        found = Found(np.empty((q, k)), np.empty((q, k), np.int64), np.empty((q, 2), np.int64))
        told = np.empty((q, 2))
        run = ask if self.compiled else reference.ask
        numbers = (*wanted[:7], share_of(recall, d), share_of(recall, layout.signs.shape[1]), *wanted[7:])
        shared = _CODES[self.metric], numbers, (words, counts, places), tuple(base), tuple(layout), (queries, products)
        outputs = (*found, told)
        if self.threads == 1 or q == 1:
            run(*shared, 0, q, outputs)
        else:
            edges = np.linspace(0, q, min(self.threads, q) + 1).astype(int).tolist()
            with ThreadPoolExecutor(self.threads) as pool:
                bounds = itertools.pairwise(edges)
                list(pool.map(lambda part: run(*shared, *part, outputs), bounds))  # type: ignore[call-arg]
        return found, told
