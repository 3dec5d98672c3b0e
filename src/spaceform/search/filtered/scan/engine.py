"""How scans run: prepare the queries, choose the kernels, share the queries among threads."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan import kernels, reference
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.search.filtered.scan.layout import METRICS, Base, Layout
from spaceform.search.filtered.scan.queries import prepare, with_bits, with_cells
from spaceform.types import FloatArray, IntArray

PLANS = {"S": kernels.SCAN, "B": kernels.BITS, "I": kernels.CELLS, "P": kernels.PRIVATE}
"""S: all matches, by 8 bits. B: all, by 1 bit first. I: the most promising cells. P: those of a private list."""


class Found(NamedTuple):
    """Answers ``closeness`` and ``ids (q, k)``, filled with -inf and -1; ``seen (q, 2)`` rows screened, and scored."""

    closeness: FloatArray
    ids: IntArray
    seen: IntArray


@dataclass(frozen=True)
class Engine:
    """How scans run: the metric, compiled or in NumPy, and on how many threads."""

    metric: str
    compiled: bool = True
    threads: int = 1

    def scan(
        self, plan: str, queries: NDArray[np.float32], k: int, *, words: Words, counts: IntArray,
        base: Base, layout: Layout, recall: float, gamma: float | FloatArray = 1.0,
    ) -> Found:  # fmt: skip
        """Answer queries by one plan; O(q d (n_cells + screened rows)) for plans that use cells."""
        asked = prepare(queries, layout, self.metric, recall=recall)
        if plan != "S":
            asked = with_cells(asked, layout, self.metric, gamma=gamma)
        if plan == "B":
            asked = with_bits(asked, layout, self.metric, recall=recall)
        q = len(queries)
        found = Found(np.full((q, k), -np.inf), np.full((q, k), -1), np.zeros((q, 2), np.int64))
        outputs = (found.closeness, found.ids, found.seen)
        search = kernels.search if self.compiled else reference.search
        metric = METRICS.index(self.metric)

        def part(bounds: tuple[int, int]) -> None:
            first, last = bounds
            search(PLANS[plan], metric, words, counts, base, layout, asked, first, last, *outputs)

        if self.threads == 1 or q == 1:
            part((0, q))
        else:
            edges = np.linspace(0, q, min(self.threads, q) + 1).astype(int).tolist()
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(part, itertools.pairwise(edges)))
        return found
