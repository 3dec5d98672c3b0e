"""One method on one data set: built, tuned on queries of its own, and measured in every cell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.search.exact import exact_search
from spaceform.search.filters import Expr
from spaceform.types import IntArray, Progress, no_progress
from spaceform.workflows.benching.memory import resident_bytes
from spaceform.workflows.benching.searching.beds import Bed, K, Questions
from spaceform.workflows.benching.searching.masks import Masks
from spaceform.workflows.benching.searching.method import Method, Setting

RECALL = 0.95
"""The mean recall that a setting must reach on the queries to tune with."""

TUNING, ENOUGH = 0.1, 0.6
"""Seconds after which a setting is tuned enough, and after which no further ones are, once two reached the recall."""

PASSES = 3
"""Over all cells: a moment of noise falls on another cell in the next pass, and the fastest counts."""

MEASURING, BATCHES = 0.2, 0.15
"""Seconds in a pass for single queries, and for batches on so many threads, in one cell under all seeds."""

_LEAST = 12
"""Queries that are always asked, one by one: of a setting to tune, and in a pass under all seeds."""

_GROUPS, _GROUP = 4, 25
"""Batches under a seed: so many filters, each for so many queries."""

_SHARES = ("qps", "p50 ms", "p99 ms", "recall", "below 0.8", "short")


@dataclass(frozen=True)
class Asking:
    """The queries of one cell, the filter of each, and the ids of its true answers."""

    queries: NDArray[np.float32]
    where: Sequence[Expr]
    truth: Sequence[IntArray]


def truths(bed: Bed, masks: Masks, questions: Questions) -> list[list[IntArray]]:
    """Return per cell the ids of the k nearest passing rows of every query, fewer where fewer pass.

    O(q n (d + cells)), and what counts in float64.
    """
    found: list[list[IntArray]] = [[] for _ in questions.cells]
    for place, q in enumerate(questions.queries):
        scores = bed.X @ q
        for cell, known in zip(questions.cells, found, strict=True):
            rows = np.flatnonzero(masks(cell.where[place]))
            if not len(rows):
                known.append(rows)
                continue
            few = min(len(rows), 4 * K)  # float32 orders all but near ties; the best of a wider circle are scored again
            circle = np.sort(rows[np.argpartition(-scores[rows], few - 1)[:few]])
            known.append(circle[exact_search(q[None], bed.X[circle], k=K, metric="ip").rows[0]])
    return found


def measure(
    method: Method, bed: Bed, known: Sequence[Sequence[Sequence[IntArray]]], *, threads: Sequence[int] = (1, 2),
    progress: Progress = no_progress,
) -> dict[str, Any]:  # fmt: skip
    """Build a method and return its figures: ``build s``, ``bytes per row``, ``resident MB``, and a row per cell.

    ``known`` are the true answers, of the questions to tune with and of those of each seed. A cell has a ``note`` in
    the place of figures if the method cannot answer it, or its time is up.
    """
    before = resident_bytes()
    method.threads(2)
    begun = perf_counter()
    method.fit(bed.X, bed.columns)
    figures: dict[str, Any] = {
        "build s": perf_counter() - begun,
        "resident MB": (resident_bytes() - before) / 1e6,
        "bytes per row": method.bytes_held() / len(bed.X),
    }
    cells = [_Cell(cell.name) for cell in bed.tune.cells]
    for turn, place in itertools.product(range(PASSES), range(len(cells))):
        progress(f"{method.name} on {bed.name}", turn * len(cells) + place, PASSES * len(cells))
        cell = cells[place]
        if cell.note or (turn and cell.is_slow):
            continue
        late = perf_counter() - begun > method.seconds
        if not turn:
            tune, *cell.seeds = (
                Asking(questions.queries, questions.cells[place].where, truth[place])
                for questions, truth in zip((bed.tune, *bed.seeds), known, strict=True)
            )
            cell.note = method.refusal([where for one in (tune, *cell.seeds) for where in one.where])
            cell.note = f"not reached in {method.seconds:g} s" if late else cell.note
            if not cell.note:
                _tune(method, cell, tune)
        if not cell.note and not late:
            _pass(method, cell, threads)
    progress(f"{method.name} on {bed.name}", 1, 1)
    figures["cells"] = [{"cell": cell.name, **_figures(cell)} for cell in cells]
    return figures


@dataclass
class _Cell:
    """A cell as far as it was measured: its ``curve``, the settings to measure, and the best of the passes so far.

    ``singles`` are times and answers by setting and seed, ``batches`` queries per second by threads.
    """

    name: str
    note: str = ""
    is_slow: bool = False
    seeds: list[Asking] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Setting] = field(default_factory=dict)
    singles: dict[tuple[str, int], tuple[NDArray[np.float64], list[IntArray]]] = field(default_factory=dict)
    batches: dict[int, float] = field(default_factory=dict)


_CHOSEN, PLANNED = "chosen", "planner"
"""What settings are measured: the one that was tuned, and a planner at the recall to compare its single plans with."""


def _tune(method: Method, cell: _Cell, tune: Asking) -> None:
    """Find the setting of a cell; where a planner has single plans, these and the planner are measured beside it."""
    method.threads(1)
    cell.curve = tuned(method, tune)
    cell.settings = {_CHOSEN: chosen(cell.curve)}
    alone = {str(setting["plans"]): setting for setting in method.grid if "plans" in setting}
    cell.settings |= alone | ({PLANNED: {"recall": RECALL}} if alone else {})


def _pass(method: Method, cell: _Cell, threads: Sequence[int]) -> None:
    """Measure a cell once more: query by query, each with its own filter, and in batches; the faster times count.

    A method so slow that a pass asks only the least is asked no more.
    """
    method.threads(1)
    least = max(4, _LEAST // len(cell.seeds))
    budget = MEASURING / len(cell.seeds)
    for (seed, asking), (label, setting) in itertools.product(enumerate(cell.seeds), cell.settings.items()):
        seconds, answers = _asked(method, asking, setting=setting, budget=budget, least=least)
        times = np.array(seconds)
        if (label, seed) in cell.singles:
            before, answers = cell.singles[label, seed]
            width = min(len(before), len(times))
            times = np.concatenate([np.minimum(before[:width], times[:width]), before[width:]])
        cell.singles[label, seed] = times, answers
        cell.is_slow = cell.is_slow or len(seconds) <= least < len(asking.where)
    for count in threads:
        method.threads(count)
        speed = _batched(method, cell.seeds, setting=cell.settings[_CHOSEN])
        cell.batches[count] = max(speed, cell.batches.get(count, 0.0))
    method.threads(1)


def _figures(cell: _Cell) -> dict[str, Any]:
    if cell.note:
        return {"note": cell.note}
    labels = {label: [_single(cell, label, seed) for seed in range(len(cell.seeds))] for label in cell.settings}
    parts = labels[_CHOSEN]
    figures: dict[str, Any] = {name: float(np.mean([one[name] for one in parts])) for name in _SHARES}
    figures["queries"] = sum(one["queries"] for one in parts)
    figures |= {f"batch qps {count}": speed for count, speed in cell.batches.items()}
    if PLANNED in labels:
        figures["plans"] = {
            label: {name: float(np.mean([one[name] for one in seen])) for name in ("qps", "recall")}
            for label, seen in labels.items()
            if label != _CHOSEN
        }
    return {**figures, "setting": dict(cell.settings[_CHOSEN]), "curve": cell.curve, "seeds": parts}


def _single(cell: _Cell, label: str, seed: int) -> dict[str, Any]:
    """Return the figures of single queries under a seed."""
    times, answers = cell.singles[label, seed]
    true = cell.seeds[seed].truth[: len(answers)]
    shares = recalls(answers, true)
    short = [int((got >= 0).sum()) < len(want) for got, want in zip(answers, true, strict=False)]
    return {
        "qps": 1 / float(np.mean(times)), "p50 ms": 1e3 * float(np.median(times)),
        "p99 ms": 1e3 * float(np.quantile(times, 0.99)), "recall": float(shares.mean()),
        "below 0.8": float((shares < 0.8).mean()), "short": float(np.mean(short)), "queries": len(times),
    }  # fmt: skip


def tuned(method: Method, asking: Asking) -> list[dict[str, Any]]:
    """Return recall and speed of each setting, on queries that are not measured; of a slow method's not all."""
    curve: list[dict[str, Any]] = []
    spent = 0.0
    for setting in method.grid:
        if "plans" not in setting and spent > ENOUGH and sum(one["recall"] >= RECALL for one in curve) > 1:
            continue
        seconds, answers = _asked(method, asking, setting=setting, budget=TUNING, least=_LEAST)
        spent += sum(seconds)
        recall = float(recalls(answers, asking.truth).mean())
        curve.append({"setting": dict(setting), "recall": recall, "qps": 1 / float(np.mean(seconds))})
    return curve


def chosen(curve: Sequence[Mapping[str, Any]]) -> Setting:
    """Return the fastest setting that reached the recall, not counting a planner's single plans; else the best."""
    free = [one for one in curve if "plans" not in one["setting"]]
    enough = [one for one in free if one["recall"] >= RECALL]
    best = max(enough, key=lambda one: one["qps"]) if enough else max(free, key=lambda one: one["recall"])
    setting: Setting = best["setting"]
    return setting


def recalls(found: Sequence[IntArray], truth: Sequence[IntArray]) -> NDArray[np.float64]:
    """Return the share of the true answers found per query: of min(k, m), and 1 where nothing passes."""
    pairs = zip(found, truth, strict=False)  # a slow method is asked fewer queries
    return np.array([np.isin(true, got).mean() if len(true) else 1.0 for got, true in pairs])


def _asked(
    method: Method, asking: Asking, *, setting: Setting, budget: float, least: int
) -> tuple[list[float], list[IntArray]]:
    """Ask queries one at a time until the budget of seconds is spent; return the seconds and answers of each."""
    seconds: list[float] = []
    answers: list[IntArray] = []
    spent = 0.0
    method.query(asking.queries[:1], K, asking.where[0], setting)  # what a first call sets up
    for row, where in enumerate(asking.where):
        query = asking.queries[row][None]
        begun = perf_counter()
        found = method.query(query, K, where, setting)
        seconds.append(perf_counter() - begun)
        answers.append(found[0])
        spent += seconds[-1]
        if spent > budget and len(seconds) >= least:
            break
    return seconds, answers


def _batched(method: Method, seeds: Sequence[Asking], *, setting: Setting) -> float:
    """Return queries per second in batches that share a filter."""
    asked, spent = 0, 0.0
    for group, asking in itertools.product(range(_GROUPS), seeds):
        rows = asking.queries[np.arange(group * _GROUP, (group + 1) * _GROUP) % len(asking.queries)]
        begun = perf_counter()
        method.query(rows, K, asking.where[group], setting)
        spent += perf_counter() - begun
        asked += len(rows)
        if spent > BATCHES:
            break
    return asked / spent


def geometric_mean(ratios: Sequence[float]) -> float:
    """Return the geometric mean of positive ratios; NaN of none."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else float("nan")
