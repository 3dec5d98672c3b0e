"""Filtered search: no fixed plan wins in all cells, and the planner is never much worse than the best one in any.

A cell is a kind of filter, a selectivity and a correlation. What is judged does not depend on the machine's load: rows
found, and work, the rows that each query compares in 8 bits, in 1 bit and exactly, turned into microseconds by
constants that were measured once. Times are recorded beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from spaceform.claims.context import Context
from spaceform.claims.record import Record
from spaceform.claims.vector_search.filtered_ann_cells import Cell, load_rows, make_cells, random_mask, truth
from spaceform.claims.vector_search.glosses import Glosses
from spaceform.methods.vector_search.filtered_ann import FilteredIndex, Plan, PreFilterIndex
from spaceform.rng import as_generator, derive_seed
from spaceform.types import IntArray, no_progress

SLUG = "filtered-ann"

ARMS = {
    "planner": "for each query the plan that costs least, from the counted matches and those in the cells around it",
    "best_plan": "in each cell the fixed plan that was best there, known afterwards",
    "only_scan": "plan S for every query: all matches by 8 bits",
    "only_bits": "plan B: all matches by 1 bit first",
    "only_cells": "plan I: the most promising cells",
    "pre_filter": "all matches in float32: exact",
    "estimated": "the planner believes that the parts of a conjunction are independent, and matches spread evenly",
    "not_local": "the planner counts the matches, and believes that they are spread evenly",
}
FIXED = {"only_scan": "S", "only_bits": "B", "only_cells": "I"}
K = 10

_WORK = {
    "start": {"S": 25, "B": 50, "I": 130},
    "row": {"S": 0.035, "B": 0.023, "I": 0.031},
    "scored": 0.3,
    "float": 0.09,
}
"""Microseconds at 384 dimensions: of a query, of a row that each plan screens, of one that is compared exactly."""

SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {"data": "drawn", "rows": 3_000, "width": 32, "queries": 12, "recall": 0.95, "work": _WORK},
    "laptop": {"data": "wordnet", "rows": 50_000, "width": 384, "queries": 50, "recall": 0.95, "work": _WORK},
    "paper": {"data": "wordnet", "rows": 80_000, "width": 384, "queries": 1_000, "recall": 0.95, "work": _WORK},
}


class Answers(NamedTuple):
    """What an arm found in a cell: ``rows (q, k)``, the ``work (q,)`` and the time of each query in microseconds."""

    rows: IntArray
    work: np.ndarray
    took: np.ndarray


def run(arm: str, seed: int, settings: Mapping[str, Any], context: Context) -> dict[str, float]:
    """Return the worst and mean figures of an arm over the cells.

    ``worst_ratio`` and ``mean_ratio`` of its work to that of the best fixed plan, ``far_ratio`` where matches are far
    from the query, ``hierarchy_ratio`` for conjunctions; ``worst_recall`` and ``mean_recall``; ``wrong`` answers (too
    short, or with a row that does not pass); ``work`` and ``took`` in microseconds, means over the cells.
    """
    data, index = _fitted(tuple(sorted((k, v) for k, v in settings.items() if k != "work")))
    asked = as_generator(derive_seed(seed, "queries")).permutation(len(data.queries))[: settings["queries"]]
    cells = context.shared("cells", lambda: make_cells(data, asked, derive_seed(seed, "filters")))
    exact = context.shared("truth", lambda: truth(data, asked, cells, K))

    def answers(name: str) -> list[Answers]:
        return context.shared(name, lambda: [_answers(name, data, index, (asked, cell), settings) for cell in cells])

    fixed = {name: answers(name) for name in FIXED}
    best = [min(fixed, key=lambda name: fixed[name][i].work.mean()) for i in range(len(cells))]
    ours = [fixed[name][i] for i, name in enumerate(best)] if arm == "best_plan" else answers(arm)
    pairs = list(zip(ours, best, strict=True))
    ratios = np.array([one.work.mean() / fixed[name][i].work.mean() for i, (one, name) in enumerate(pairs)])
    recalls = np.array([_recall(one.rows, known) for one, known in zip(ours, exact, strict=True)])
    names = [cell.name for cell in cells]
    for name, values in (("ratio", ratios), ("recall", recalls)):
        context.curve(arm, name, range(len(cells)), values.tolist())
    return {
        "worst_ratio": float(ratios.max()),
        "mean_ratio": float(ratios.mean()),
        "far_ratio": float(max(ratios[i] for i, name in enumerate(names) if "far" in name)),
        "hierarchy_ratio": float(ratios[names.index("hierarchy")]),
        "worst_recall": float(recalls.min()),
        "mean_recall": float(recalls.mean()),
        "wrong": float(sum(_wrong(one.rows, cell) for one, cell in zip(ours, cells, strict=True))),
        "cells_won": float((ratios <= 1).mean()),
        "work": float(np.mean([one.work.mean() for one in ours])),
        "took": float(np.mean([one.took.mean() for one in ours])),
    }


def mechanism(record: Record) -> None:
    """Assert that no arm gives wrong answers, and that no fixed plan is the best one in all cells."""
    for arm, seeds in record.figures().items():
        assert all(figures["wrong"] == 0 for figures in seeds.values()), f"{arm}: {seeds}"
    for arm in FIXED:
        assert all(figures["worst_ratio"] > 1 for figures in record.figures()[arm].values()), arm


@lru_cache(maxsize=1)
def _fitted(settings: tuple[tuple[str, Any], ...]) -> tuple[Glosses, FilteredIndex]:
    """Return rows and the index on them: seeds draw queries and filters, not rows."""
    chosen = dict(settings)
    data = load_rows(chosen, no_progress)
    return data, FilteredIndex(recall=chosen["recall"]).fit(data.rows, data.attributes)


def _answers(
    arm: str, data: Glosses, index: FilteredIndex, asked: tuple[IntArray, Cell], settings: Mapping[str, Any]
) -> Answers:
    queries, cell = data.queries[asked[0]], asked[1]
    if arm == "pre_filter":
        rows = PreFilterIndex().fit(data.rows, data.attributes).query(queries, K, where=cell.filters).rows
        work = settings["work"]["float"] * cell.masks.sum(axis=1)
        return Answers(rows, work, work)
    rows, plans = np.full((len(queries), K), -1), []
    believed = cell.guess if arm == "estimated" else cell.masks.sum(axis=1)
    random = as_generator(derive_seed(int(asked[0][0]), cell.name))
    for i, (query, where) in enumerate(zip(queries, cell.filters, strict=True)):
        index.plans = FIXED.get(arm, "auto")
        if arm in ("estimated", "not_local"):  # the plan for as many matches as are believed in, wherever they are
            index.plans = index.explain(query, K, where=random_mask(len(data.rows), int(believed[i]), random)).name
        rows[i] = index.query(query[None], K, where=where).rows[0]
        plans.append(index.explain(query, K, where=where))
    index.plans = "auto"
    work = np.array([_work(plan, settings["work"]) for plan in plans])
    return Answers(rows, work, np.array([1e3 * (plan.measured_ms - plan.filter_ms) for plan in plans]))


def _work(plan: Plan, costs: Mapping[str, Any]) -> float:
    """Return the microseconds that a plan's counts stand for."""
    return float(costs["start"][plan.name] + costs["row"][plan.name] * plan.screened + costs["scored"] * plan.scored)


def _recall(rows: IntArray, known: list[IntArray]) -> float:
    """Return the mean share of the true answers that were found; of min(k, m) of them, 1 where there is none."""
    shares = [np.isin(true, found).mean() if len(true) else 1.0 for found, true in zip(rows, known, strict=True)]
    return float(np.mean(shares))


def _wrong(rows: IntArray, cell: Cell) -> int:
    """Return how many answers are too short or hold a row that does not pass."""
    short = (rows >= 0).sum(axis=1) != np.minimum(rows.shape[1], cell.masks.sum(axis=1))
    passing = np.take_along_axis(cell.masks, np.maximum(rows, 0), 1) | (rows < 0)
    return int((short | ~passing.all(axis=1)).sum())
