"""One filter, many queries: choose a plan for each, run the plans, and join what the tail adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.matching import Matches
from spaceform.search.filtered.planner import local_density
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.engine import Found
from spaceform.search.filtered.scan.queries import prepare, with_cells
from spaceform.search.filtered.state import State
from spaceform.types import FloatArray


@dataclass(frozen=True)
class Plan:
    """How a query is answered: plan ``name``, ``matches`` counted, milliseconds of it and of its rivals.

    ``screened`` rows were compared by their codes and ``scored`` exactly; ``filter_ms`` is the part of ``measured_ms``
    that the filter took.
    """

    name: str
    matches: int
    predicted_ms: dict[str, float]
    measured_ms: float
    filter_ms: float
    screened: int
    scored: int


@dataclass(frozen=True)
class Choice:
    """The plan of each query, and the seconds predicted for every plan that could be taken, each ``(q,)``."""

    plans: NDArray[np.str_]
    predicted: dict[str, FloatArray]


def choose(
    state: State, queries: NDArray[np.float32], matches: Matches, *, recall: float, allowed: Sequence[str]
) -> Choice:
    """Choose the cheapest of the ``allowed`` plans by measured costs.

    The cell plan is looked at closely, by counting the matches in the cells nearest to each query, only where it may
    win. With none of the allowed plans to be had (a private list that nobody prepared) it is S.
    """
    segment, exact, q = state.segment, recall >= 1, len(queries)
    costs = segment.costs
    predicted = {"S": np.broadcast_to(costs.predict("S", matches.inside, exact=exact), q)}
    if segment.layout.rotation.size:
        predicted["B"] = np.broadcast_to(costs.predict("B", matches.inside, exact=exact), q)
    if matches.list_name:
        private = segment.lists[matches.list_name].costs
        predicted["P"] = np.broadcast_to(private.predict("P", matches.inside, exact=exact), q)
    possible = {name: times for name, times in predicted.items() if name in allowed}
    best_so_far = min((float(times[0]) for times in possible.values()), default=np.inf)
    if "I" in allowed and matches.inside and costs.cheapest_cells(exact=exact) < best_so_far:
        asked = prepare(queries, segment.layout, segment.engine.metric, recall=recall)
        asked = with_cells(asked, segment.layout, segment.engine.metric, gamma=costs.gamma(recall))
        counts = bitmaps.counts_between(matches.words, segment.layout.starts, len(segment))
        local = local_density(asked.reach, counts, np.diff(segment.layout.starts))
        possible["I"] = costs.predict_cells(matches.inside, local, len(segment), exact=exact)
    if not possible:
        possible = {"S": predicted["S"]}
    names = list(possible)
    cheapest = np.argmin(np.stack([possible[name] for name in names]), axis=0)
    return Choice(np.array(names)[cheapest], possible)


def answer(
    state: State, queries: NDArray[np.float32], k: int, *, matches: Matches, choice: Choice, recall: float
) -> Found:
    """Run the chosen plans in the segment, scan the tail, and return the best of both."""
    q = len(queries)
    width = max(1, min(k, matches.count))
    found = Found(np.full((q, width), -np.inf), np.full((q, width), -1), np.zeros((q, 2), np.int64))
    if matches.inside:
        for plan in np.unique(choice.plans).tolist():
            rows = np.flatnonzero(choice.plans == plan)
            part = state.segment.scan(
                plan, queries[rows], width, words=matches.words, recall=recall, name=matches.list_name
            )
            for whole, piece in zip(found, part, strict=True):
                whole[rows] = piece
    if state.tail is not None and matches.count > matches.inside:
        found = _joined(found, _scan_tail(state, queries, width, matches=matches, recall=recall))
    return found


def _scan_tail(state: State, queries: NDArray[np.float32], k: int, *, matches: Matches, recall: float) -> Found:
    tail = state.tail
    assert tail is not None  # noqa: S101  the caller looked
    counts = np.array([matches.count - matches.inside])
    return state.segment.engine.scan(
        "S", queries, k, words=matches.later, counts=counts, base=tail.base, layout=tail.layout, recall=recall
    )


def _joined(a: Found, b: Found) -> Found:
    """Return the best of two answers; what is missing (-1) goes last."""
    k = a.ids.shape[1]
    closeness, ids = np.hstack([a.closeness, b.closeness]), np.hstack([a.ids, b.ids])
    order = np.lexsort((ids, -closeness, ids < 0))[:, :k]
    return Found(np.take_along_axis(closeness, order, 1), np.take_along_axis(ids, order, 1), a.seen + b.seen)
