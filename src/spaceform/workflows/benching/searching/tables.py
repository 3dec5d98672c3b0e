"""From figures to rows: what every method reached in every cell, beside ours and the best rival."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from spaceform.workflows.benching.searching.measuring import PLANNED, RECALL, geometric_mean

_SHOWN = ("recall", "below 0.8", "short", "p50 ms", "p99 ms", "queries")
_ABOUT = ("build s", "bytes per row", "resident MB")
_SLACK = 0.005
"""A setting tuned to the recall may miss it by this on the queries measured with, and still counts as reaching it."""

Row = dict[str, Any]


def rows_of(found: Mapping[str, Mapping[str, Mapping[str, Any]]], ours: str) -> list[Row]:
    """Return a row per data set, cell and method, with a ``note`` for what has no figures.

    ``ours / it``: how many times as many queries per second ours answers as this method, where both reach the
    recall, and so for batches; ``qps min`` and ``qps max`` over the seeds, if there are several; ``plans``: the time
    of the planner over that of its best single plan.
    """
    rows: list[Row] = []
    for data, by_method in found.items():
        rows += [
            {"data": data, "cell": "", "method": name, "note": figures["note"]}
            for name, figures in by_method.items()
            if "note" in figures
        ]
        rows += _cells(data, by_method, ours)
    return rows


def summary(rows: Sequence[Row], ours: str, *, references: Collection[str] = ()) -> list[Row]:
    """Return per data set and way of asking how ours stands to the fastest rival of each cell, and to the nearest.

    Rivals are the peers and the ``references``; ``to references`` counts the lost cells whose fastest rival is one of
    these, ``ratio to peers`` is the worst one without them. The nearest rival is that of the lowest mean ratio, among
    those that reached the recall in half of the cells or more.
    """
    ways = dict.fromkeys(way for row in rows for way in row if way.startswith("ours / it"))
    return [
        {"data": data, "asked": way.partition(", ")[2] or "one by one", **_summed(some, way, ours, references)}
        for data in dict.fromkeys(row["data"] for row in rows)
        for some in [[row for row in rows if row["data"] == data and row.get("qps")]]
        for way in ways
    ]


def _summed(rows: Sequence[Row], way: str, ours: str, references: Collection[str]) -> Row:
    best: dict[str, Row] = {}
    by_method: dict[str, list[float]] = {}
    peers: list[float] = []
    for row in rows:
        if row["method"] != ours and row.get(way) is not None:
            by_method.setdefault(row["method"], []).append(row[way])
            best[row["cell"]] = min(best.get(row["cell"], row), row, key=lambda one: one[way])
            peers += [] if row["method"] in references else [row[way]]
    ratios = {cell: row[way] for cell, row in best.items()}
    lost = [row["method"] for row in best.values() if row[way] < 1]
    means = {name: geometric_mean(seen) for name, seen in by_method.items() if 2 * len(seen) >= len(best)}
    plans = [row["plans"] for row in rows if row.get("plans") is not None] if way == "ours / it" else []
    return {
        "cells": len(best), "worst ratio": min(ratios.values(), default=None),
        "worst in": min(ratios, key=lambda cell: ratios[cell], default=""),
        "ratio to peers": min(peers, default=None), "mean ratio": geometric_mean(list(ratios.values())),
        "cells lost": len(lost), "to references": sum(name in references for name in lost),
        "planner / best plan": max(plans, default=None),
        "nearest rival": min(means, key=lambda name: means[name], default=""),
        "ratio to it": min(means.values(), default=None),
    }  # fmt: skip


def _cells(data: str, by_method: Mapping[str, Mapping[str, Any]], ours: str) -> Iterator[Row]:
    measured = {name: figures for name, figures in by_method.items() if "cells" in figures}
    names = [one["cell"] for one in next(iter(measured.values()))["cells"]] if measured else []
    for place, cell in enumerate(names):
        mine = measured[ours]["cells"][place] if ours in measured else {"note": "not measured"}
        for name, figures in measured.items():
            one = figures["cells"][place]
            row: Row = {"data": data, "cell": cell, "method": name}
            if "note" in one:
                yield {**row, "note": one["note"]}
                continue
            row |= {way: one[way] for way in _ways(one)} | _spread(one) | {key: one.get(key) for key in _SHOWN}
            if name != ours and reaches(one) and reaches(mine):
                row |= {_against(way): mine[way] / one[way] for way in _ways(one) if way in mine}
            if name == ours:
                row["plans"] = _planned(one)
            yield row | {key: figures[key] for key in _ABOUT}


def _ways(one: Mapping[str, Any]) -> list[str]:
    """Return the names of the speeds: of single queries, and of batches on so many threads."""
    return ["qps", *sorted(key for key in one if key.startswith("batch qps "))]


def _against(way: str) -> str:
    threads = way.removeprefix("batch qps ")
    return "ours / it" if way == "qps" else f"ours / it, batches on {threads} thread" + "s" * (threads != "1")


def _spread(one: Mapping[str, Any]) -> Row:
    speeds = [seed["qps"] for seed in one.get("seeds", ())]
    return {"qps min": min(speeds), "qps max": max(speeds)} if len(speeds) > 1 else {}


def reaches(one: Mapping[str, Any]) -> bool:
    """Whether a method has figures in a cell, and reached the recall."""
    return "note" not in one and bool(one["recall"] >= RECALL - _SLACK)


def _planned(one: Mapping[str, Any]) -> float | None:
    """Return the planner's time over that of the best of its plans that reached the recall, all at the same setting."""
    measured = one.get("plans", {})
    alone = [plan["qps"] for name, plan in measured.items() if name != PLANNED and plan["recall"] >= RECALL - _SLACK]
    return max(alone) / measured[PLANNED]["qps"] if alone else None
