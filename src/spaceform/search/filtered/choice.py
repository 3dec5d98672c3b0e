"""One filter, many queries: what plans are expected to cost, the plan of each query, and what the tail adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.search.exact import Nearest
from spaceform.search.filtered.matching import Matches
from spaceform.search.filtered.planner import MANY, TRIED_K, tiles
from spaceform.search.filtered.scan.engine import NAMES, NONE, PLANS, Found, Wanted
from spaceform.search.filtered.scan.plans import FEW, SURELY
from spaceform.search.filtered.state import State
from spaceform.types import FloatArray

_ALONE = {name: Wanted(plan) for name, plan in PLANS.items()}
"""What to run where one plan is chosen for all queries."""

_NOBODY = np.empty(0, np.int64)

_NARROW = 1_024
"""Answers up to so many columns are made as wide as they were asked for, whatever matches."""

_ELSEWHERE = ("P", "M", "G")
"""Plans that read something other than the layout of the cells: where cells are given up, another call runs them."""

_WEAK = 0.3
"""Share of the rows that must pass for a walk on the graph: where fewer do, few links of a row lead to one that passes,
and others must be followed in their stead."""


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


class Choice(NamedTuple):
    """``told (q, 2)``: plan of each query, and seconds predicted for the cells; ``possible``: those of the others."""

    told: FloatArray
    possible: dict[str, float]

    def of(self, query: int) -> tuple[str, dict[str, float]]:
        """Return the name of a query's plan, and the seconds predicted for every plan that could be taken."""
        code, cells = self.told[query]
        name = NAMES[int(code)]
        predicted = dict(self.possible)
        if np.isfinite(cells) or name == "I":
            predicted["I"] = float(cells)
        return name, predicted


def answer(
    state: State, queries: NDArray[np.float32], k: int, *, matches: Matches, recall: float, allowed: Sequence[str]
) -> tuple[Choice, Found]:
    """Answer by the cheapest of the ``allowed`` plans, by measured costs, and join what the tail adds.

    The cell plan is looked at closely, by counting the matches in the cells nearest to each query, only where it may
    win. With none of the allowed plans to be had (a private list that nobody prepared) it is S.
    """
    width = k if k <= _NARROW else max(1, min(k, matches.total))
    if not matches.inside:
        found = Found(
            np.full((len(queries), width), -np.inf),
            np.full((len(queries), width), -1),
            np.zeros((len(queries), 2), np.int64),
        )
        told = np.full((len(queries), 2), np.inf)
        told[:, 0] = PLANS["S"]
        possible = {"S": 0.0}
    else:
        possible, found, told = _found(state, queries, width, matches=matches, recall=recall, allowed=allowed)
    if state.tail is not None and matches.total > matches.inside:
        found = _joined(found, _scan_tail(state, queries, width, matches=matches, recall=recall))
    return Choice(told, possible), found


def _found(
    state: State, queries: NDArray[np.float32], k: int, *, matches: Matches, recall: float, allowed: Sequence[str]
) -> tuple[dict[str, float], Found, FloatArray]:
    """Answer from the segment; what one plan gives up (cells that are too many, a walk that is too long) others do."""
    possible, wanted = _plan(state, matches, (len(queries), k), recall=recall, allowed=allowed)
    found, told = state.segment.scan(wanted, queries, k, rows=matches.rows, recall=recall, name=matches.list_name)
    may_give_up = wanted.plan == PLANS["G"] or wanted.plan == wanted.other == NONE
    left = np.flatnonzero(told[:, 0] < 0) if may_give_up else _NOBODY
    if len(left):
        others = [plan for plan in allowed if plan != ("G" if wanted.plan == PLANS["G"] else "I")]
        more, part, done = _found(state, queries[left], k, matches=matches, recall=recall, allowed=others)
        for whole, piece in zip(found, part, strict=True):
            whole[left] = piece
        told[left, 0], told[left, 1] = done[:, 0], np.minimum(told[left, 1], done[:, 1])
        possible = {**more, **possible}
    return possible, found, told


def _plan(
    state: State, matches: Matches, asked: tuple[int, int], *, recall: float, allowed: Sequence[str]
) -> tuple[dict[str, float], Wanted]:
    """Return the seconds predicted for plans that cost every query the same, and what to run.

    ``asked`` are the number of queries, and k.
    """
    segment, exact, m, (q, k) = state.segment, recall >= 1, matches.inside, asked
    costs = segment.costs
    if m <= FEW and "S" in allowed:
        return {"S": costs.predict("S", m, exact=exact)}, _ALONE["S"]
    possible: dict[str, float] = {}
    if "S" in allowed:
        possible["S"] = costs.predict("S", m, exact=exact)
    if "B" in allowed and segment.layout.signs.size:
        possible["B"] = costs.predict("B", m, exact=exact)
    if "M" in allowed and q > 1:
        possible["M"] = costs.predict("M", m, exact=exact) * MANY * tiles(q) / q
    if "P" in allowed and matches.list_name:
        possible["P"] = segment.lists[matches.list_name].costs.predict("P", m, exact=exact)
    beam = costs.beam(recall) if "G" in allowed and segment.graph is not None else 0
    more = 2 * max(0, k - TRIED_K)
    if beam and (m >= _WEAK * len(segment) or len(allowed) == 1):
        possible["G"] = costs.predict("G", m, exact=exact) * (beam + more) / beam
    best = min(possible, key=lambda name: possible[name], default="")
    # to look at the cells takes time of its own: only where the answer may be in few of them
    if "I" in allowed and (not best or costs.least("I", m / 2, exact=exact) < SURELY * possible[best]):
        at, seconds = costs.curve("I", exact=exact)
        near, far = costs.gamma(recall), costs.gamma(recall, far=True)
        beginning, scanned = costs.predict("I", 0, exact=exact), costs.predict("S", m, exact=exact)
        each = min(scanned, possible.get("B", np.inf)) / m
        cells = Wanted(
            NONE, NONE if best in _ELSEWHERE else PLANS[best or "I"], possible.get(best, np.inf), near, far,
            m / len(segment), beginning + scanned, beginning, each, at, seconds,
        )  # fmt: skip
        return possible, cells if best else cells._replace(plan=PLANS["I"])
    if not best:
        best, possible = "S", {"S": costs.predict("S", m, exact=exact)}
    return possible, _alone(best, state, matches, more, recall=recall)


def _alone(name: str, state: State, matches: Matches, more: int, *, recall: float) -> Wanted:
    """Return what to run for queries that all take one plan; ``more`` rows than usual stay on a walk's list."""
    if name == "G":
        costs = state.segment.costs
        near, far = costs.beam(recall), costs.beam(recall, far=True)
        return Wanted(PLANS["G"], near=near + more, far=far + more if far else 0)
    if name != "P":
        return _ALONE[name]
    private = state.segment.lists[matches.list_name]
    gamma = private.costs.gamma(recall, far=matches.inside < len(private.layout.where))
    return Wanted(PLANS["P"], near=gamma, far=gamma)


def _scan_tail(state: State, queries: NDArray[np.float32], k: int, *, matches: Matches, recall: float) -> Found:
    tail = state.tail
    assert tail is not None  # noqa: S101  the caller looked
    return state.segment.engine.scan(
        _ALONE["S"], queries, k, words=matches.later, base=tail.base, layout=tail.layout, recall=recall
    )[0]


def _joined(a: Found, b: Found) -> Found:
    """Return the best of two answers; what is missing (-1) goes last."""
    k = a.ids.shape[1]
    closeness, ids = np.hstack([a.closeness, b.closeness]), np.hstack([a.ids, b.ids])
    order = np.lexsort((ids, -closeness, ids < 0))[:, :k]
    return Found(np.take_along_axis(closeness, order, 1), np.take_along_axis(ids, order, 1), a.seen + b.seen)


def padded(found: Found, k: int, matches: int) -> Nearest:
    """Return answers with k columns, -1 and -inf where fewer rows pass."""
    if found.ids.shape[1] == k and matches:
        return Nearest(found.ids, found.closeness)
    result = Nearest(np.full((len(found.ids), k), -1), np.full((len(found.ids), k), -np.inf))
    width = min(k, matches)
    result.rows[:, :width], result.closeness[:, :width] = found.ids[:, :width], found.closeness[:, :width]
    return result
