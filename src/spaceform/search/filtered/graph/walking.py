"""Answering queries by walks on a graph, on as many threads as the engine has."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.graph.links import Graph
from spaceform.search.filtered.scan.engine import Engine, Found, Wanted
from spaceform.search.filtered.scan.layout import METRICS, Base, Layout
from spaceform.search.filtered.scan.queries import share_of
from spaceform.search.filtered.sets.selected import Selected
from spaceform.types import FloatArray

_CHEAPER, _AT_LEAST = 4, 1_024
"""A walk is given up after it compared a fourth of the matches, or so many: to scan them all takes less then. Counted,
not timed, so that an answer is the same whenever it is asked for."""


@cache
def _asking(*, compiled: bool) -> Callable[..., None]:
    """Return the walk, compiled or in NumPy; numba is loaded for the former only."""
    if compiled:
        from spaceform.search.filtered.graph import walk

        return walk.ask
    from spaceform.search.filtered.graph import reference

    return reference.ask


def walked(
    engine: Engine, wanted: Wanted, queries: NDArray[np.float32], k: int, *, rows: Selected, base: Base, layout: Layout,
    graph: Graph, recall: float,
) -> tuple[Found, FloatArray]:  # fmt: skip
    """Answer queries among the matches ``rows``; return also ``(q, 2)``: the plan, -1 for those that were given up.

    O(q (n / 64 + rows compared d)).
    """
    q, d = queries.shape
    near, far = (max(int(length), k) if length else 0 for length in (wanted.near, wanted.far))
    numbers = wanted.plan, near, far, rows.count, max(_AT_LEAST, rows.count // _CHEAPER), share_of(recall, d)
    found, told, words = Found.room(q, k), np.empty((q, 2)), rows.words
    code, outputs = METRICS.index(engine.metric), (*found, told)
    data = engine.handed(graph, base, layout)
    ask = _asking(compiled=engine.compiled)

    def run(first: int, last: int) -> None:
        ask(code, numbers, words, *data, queries, first, last, outputs)

    engine.shared_out(run, q)
    return found, told
