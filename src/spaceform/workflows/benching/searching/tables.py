"""From figures to rows: what every method reached in every cell, beside ours and the best peer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spaceform.workflows.benching.searching.measuring import RECALL, geometric_mean

_SHOWN = ("qps", "batch qps 1", "batch qps 2", "recall", "below 0.8", "short", "p50 ms", "p99 ms")
_SLACK = 0.005
"""A setting tuned to the recall may miss it by this on the queries measured with, and still counts as reaching it."""


def rows_of(found: Mapping[str, Mapping[str, Mapping[str, Any]]], ours: str) -> list[dict[str, Any]]:
    """Return a row per data set, cell and method, then per data set a row that sums up.

    ``ours / it``: how many times as many queries per second ours answers as this method, where both reach the
    recall; ``plans``: the time of the planner over that of its best single plan.
    """
    rows: list[dict[str, Any]] = []
    for data, by_method in found.items():
        rows += [
            {"data": data, "cell": "", "method": name, "note": figures["note"]}
            for name, figures in by_method.items()
            if "note" in figures
        ]
        rows += _cells(data, by_method, ours)
    return rows


def summary(rows: list[dict[str, Any]], ours: str) -> list[dict[str, Any]]:
    """Return per data set the worst and the mean ratio to the best peer of each cell, and to each peer."""
    result = []
    for data in dict.fromkeys(row["data"] for row in rows):
        measured = [row for row in rows if row["data"] == data and row.get("qps")]
        best: dict[str, float] = {}
        for row in measured:
            if row["method"] != ours and row.get("ours / it") is not None:
                best[row["cell"]] = min(best.get(row["cell"], float("inf")), row["ours / it"])
        by_method = {
            name: [row["ours / it"] for row in measured if row["method"] == name and row.get("ours / it") is not None]
            for name in dict.fromkeys(row["method"] for row in measured)
            if name != ours
        }
        means = {name: geometric_mean(ratios) for name, ratios in by_method.items() if ratios}
        plans = [row["plans"] for row in measured if row.get("plans") is not None]
        ratios = list(best.values())
        result.append(
            {
                "data": data, "cells": len(best), "worst ratio": min(ratios, default=None),
                "worst in": min(best, key=lambda cell: best[cell], default=""), "mean ratio": geometric_mean(ratios),
                "cells lost": sum(ratio < 1 for ratio in ratios), "planner / best plan": max(plans, default=None),
                "nearest peer": min(means, key=lambda name: means[name], default=""),
                "ratio to it": min(means.values(), default=None),
            }
        )  # fmt: skip
    return result


def _cells(data: str, by_method: Mapping[str, Mapping[str, Any]], ours: str) -> Iterator[dict[str, Any]]:
    measured = {name: figures for name, figures in by_method.items() if "cells" in figures}
    names = [one["cell"] for one in next(iter(measured.values()))["cells"]] if measured else []
    for place, cell in enumerate(names):
        mine = measured[ours]["cells"][place] if ours in measured else None
        for name, figures in measured.items():
            one = figures["cells"][place]
            row = {"data": data, "cell": cell, "method": name, **{key: one.get(key) for key in _SHOWN}}
            if mine is not None and name != ours and reaches(one) and reaches(mine):
                row["ours / it"] = mine["qps"] / one["qps"]
            if name == ours:
                row["plans"] = _planned(one)
            row |= {key: figures[key] for key in ("build s", "bytes per row", "resident MB")}
            yield row


def reaches(one: Mapping[str, Any]) -> bool:
    """Whether a method reached the recall in a cell."""
    return bool(one["recall"] >= RECALL - _SLACK)


def _planned(one: Mapping[str, Any]) -> float | None:
    """Return the planner's time over that of the best of its plans that reached the recall, all at the same setting."""
    curve = one["curve"]
    plans = [point["qps"] for point in curve if "plans" in point["setting"] and point["recall"] >= RECALL - _SLACK]
    free = [p["qps"] for p in curve if "plans" not in p["setting"] and p["setting"].get("recall") == RECALL]
    return max(plans) / free[0] if plans and free else None
