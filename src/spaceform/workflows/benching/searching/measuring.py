"""One method on one data set: built, tuned on queries of its own, and measured in every cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.search.exact import exact_search
from spaceform.search.filters import Expr
from spaceform.types import IntArray, Progress, no_progress
from spaceform.workflows.benching.memory import resident_bytes
from spaceform.workflows.benching.searching.beds import TUNED, Bed, K
from spaceform.workflows.benching.searching.cells import Cell
from spaceform.workflows.benching.searching.masks import Masks
from spaceform.workflows.benching.searching.method import Method, Setting

RECALL = 0.95
"""The mean recall that a setting must reach on the queries to tune with."""

TUNING, MEASURING = 0.12, 0.3
"""Seconds after which a setting is tuned enough, and a pass of measurements over a cell is long enough."""

_LEAST = 12
"""Queries that are always asked."""

_GROUPS, _GROUP = 4, 25
"""Batches: so many filters, each for so many queries."""


def truths(bed: Bed, masks: Masks, cell: Cell) -> list[IntArray]:
    """Return the ids of the k nearest passing rows of every query, fewer where fewer pass; O(q n d), in float64."""
    found = []
    for q, where in zip(bed.queries, cell.where, strict=True):
        mask = masks(where)
        rows = np.flatnonzero(mask)
        if not len(rows):
            found.append(rows)
            continue
        scores = bed.X[rows] @ q if 4 * len(rows) < len(mask) else (bed.X @ q)[rows]
        few = min(len(rows), 4 * K)  # float32 orders all but near ties; the best of a wider circle are scored again
        circle = rows[np.argpartition(-scores, few - 1)[:few]]
        near = exact_search(q[None], bed.X[np.sort(circle)], k=K, metric="ip")
        found.append(np.sort(circle)[near.rows[0]])
    return found


def measure(
    method: Method, bed: Bed, known: Sequence[Sequence[IntArray]], *, threads: Sequence[int] = (1, 2),
    progress: Progress = no_progress,
) -> dict[str, Any]:  # fmt: skip
    """Build a method and return its figures: ``build s``, ``bytes per row``, ``resident MB``, and a row per cell."""
    before = resident_bytes()
    method.threads(2)
    begun = perf_counter()
    method.fit(bed.X, bed.columns)
    figures: dict[str, Any] = {
        "build s": perf_counter() - begun,
        "resident MB": (resident_bytes() - before) / 1e6,
        "bytes per row": method.bytes_held() / len(bed.X),
        "cells": [],
    }
    for done, (cell, truth) in enumerate(zip(bed.cells, known, strict=True)):
        progress(f"{method.name} on {bed.name}", done, len(bed.cells))
        figures["cells"].append({"cell": cell.name, **_cell(method, bed, cell, truth, threads=threads)})
    progress(f"{method.name} on {bed.name}", len(bed.cells), len(bed.cells))
    return figures


def _cell(method: Method, bed: Bed, cell: Cell, truth: Sequence[IntArray], *, threads: Sequence[int]) -> dict[str, Any]:
    method.threads(1)
    tuned = range(TUNED)
    curve = []
    for setting in method.grid:
        seconds, answers = _asked(method, bed, cell, tuned, setting=setting, budget=TUNING)
        recall = recalls(answers, truth[:TUNED]).mean()
        curve.append({"setting": dict(setting), "recall": float(recall), "qps": 1 / float(np.mean(seconds))})
    setting = chosen(curve)
    figures = _single(method, bed, cell, truth, setting=setting)
    for count in threads:
        method.threads(count)
        figures[f"batch qps {count}"] = _batched(method, bed, cell, setting=setting)
    method.threads(1)
    return {**figures, "setting": dict(setting), "curve": curve}


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


def _single(method: Method, bed: Bed, cell: Cell, truth: Sequence[IntArray], *, setting: Setting) -> dict[str, Any]:
    """Ask query by query, each with its own filter, in three passes; the fastest time of each query counts."""
    rows = range(TUNED, len(bed.queries))
    passes: list[list[float]] = []
    answers: list[IntArray] = []
    for _ in range(3):
        seconds, answers = _asked(method, bed, cell, rows, setting=setting, budget=MEASURING)
        passes.append(seconds)
        rows = rows[: len(seconds)]
    width = min(map(len, passes))
    times = np.min([one[:width] for one in passes], axis=0)
    true = truth[TUNED : TUNED + width]
    shares = recalls(answers[:width], true)
    short = [int((got >= 0).sum()) < len(want) for got, want in zip(answers[:width], true, strict=True)]
    return {
        "qps": 1 / float(times.mean()), "p50 ms": 1e3 * float(np.median(times)),
        "p99 ms": 1e3 * float(np.quantile(times, 0.99)), "recall": float(shares.mean()),
        "below 0.8": float((shares < 0.8).mean()), "short": float(np.mean(short)), "queries": width,
    }  # fmt: skip


def _asked(
    method: Method, bed: Bed, cell: Cell, rows: range, *, setting: Setting, budget: float
) -> tuple[list[float], list[IntArray]]:
    """Ask queries one at a time until the budget of seconds is spent; return the seconds and answers of each."""
    seconds: list[float] = []
    answers: list[IntArray] = []
    method.query(bed.queries[rows[0]][None], K, cell.where[rows[0]], setting)  # what a first call sets up
    for row in rows:
        query, where = bed.queries[row][None], cell.where[row]
        begun = perf_counter()
        found = method.query(query, K, where, setting)
        seconds.append(perf_counter() - begun)
        answers.append(found[0])
        if sum(seconds) > budget and len(seconds) >= _LEAST:
            break
    return seconds, answers


def _batched(method: Method, bed: Bed, cell: Cell, *, setting: Setting) -> float:
    """Return queries per second in batches that share a filter, the best of two passes."""
    queries = bed.queries[TUNED:]
    wheres = cell.where[TUNED : TUNED + _GROUPS]

    def once() -> float:
        asked, spent = 0, 0.0
        for group, where in enumerate(wheres):
            rows = queries[np.arange(group * _GROUP, (group + 1) * _GROUP) % len(queries)]
            spent += _timed(method.query, rows, where, setting)
            asked += len(rows)
            if spent > MEASURING:
                break
        return asked / spent

    return max(once(), once())


def _timed(query: Callable[..., object], rows: NDArray[np.float32], where: Expr, setting: Setting) -> float:
    begun = perf_counter()
    query(rows, K, where, setting)
    return perf_counter() - begun


def geometric_mean(ratios: Sequence[float]) -> float:
    """Return the geometric mean of positive ratios; NaN of none."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else float("nan")
