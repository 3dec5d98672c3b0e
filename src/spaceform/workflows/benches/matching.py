"""Matching: clusters to 2,000 classes by the Hungarian method, and the edges of a neural gas.

SciPy solves the assignment for us, so that the peers of the whole path are the solver alone (SciPy's and lapx's) and
the count by sorting with lapx behind it. No library that we know offers the update of the edges; its peer is the loop
over the rows of a batch of the released code, on NumPy. Limits, at this core's rate of copying: labels read and the
table of counts written and read once; distances read, and edges read and written once.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from spaceform.heads.growing.neighbor_graph import NeighborGraph
from spaceform.ops.assignment import agreement, contingency
from spaceform.rng import as_generator
from spaceform.types import FloatArray, Progress, no_progress
from spaceform.workflows.benching.turns import OURS, Work, compare, copying_rate

ROWS, CLASSES, BATCH = 100_000, 2_000, 256
QUICK = (2_000, 50, 32)
NEAREST, DECAY, LEAST = 15, 0.9, 0.9**10


def run(*, quick: bool = False, repeats: int = 5, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Return rows for the whole path from labels to accuracy, the assignment alone, and an update of edges."""
    n, k, batch = QUICK if quick else (ROWS, CLASSES, BATCH)
    rng = as_generator(0)
    truth = rng.integers(k, size=n)
    found = np.where(rng.random(n) < 0.5, rng.integers(k, size=n), rng.permutation(k)[truth])
    cost = -contingency(truth, found).counts.astype(np.float64)
    rate = copying_rate()
    lap = importlib.import_module("lap") if importlib.util.find_spec("lap") is not None else None
    whole: dict[str, Work | None] = {
        OURS: lambda: agreement(truth, found),
        "sorted counts, SciPy": lambda: linear_sum_assignment(_sorted_counts(truth, found), maximize=True),
        "sorted counts, lapx": None if lap is None else lambda: lap.lapjv(-_sorted_counts(truth, found).astype(float)),
    }
    alone: dict[str, Work | None] = {
        OURS: lambda: linear_sum_assignment(cost),
        "lapx": None if lap is None else lambda: lap.lapjv(cost),
    }
    distances = torch.from_numpy(rng.random((batch, k), dtype=np.float32))
    graph = NeighborGraph(k=NEAREST, decay=DECAY, e_min=LEAST)
    graph.grow(k)
    edges = np.eye(k, dtype=np.float32)
    gas: dict[str, Work | None] = {
        OURS: lambda: graph.update(distances),
        "loop over rows": lambda: update_by_loop(edges, distances.numpy()),
    }
    jobs: tuple[tuple[str, int, dict[str, Work | None], float, dict[str, str]], ...] = (
        ("labels to accuracy", n, whole, (16 * n + 16 * k * k) / rate, {}),
        ("assignment alone", k, alone, 8 * k * k / rate, {OURS: "SciPy's solver"}),
        ("update of edges", batch, gas, 4 * (batch * k + 2 * k * k) / rate, {}),
    )
    rows: list[dict[str, Any]] = []
    for done, (what, size, works, limit, notes) in enumerate(jobs):
        progress("matching", done, len(jobs))
        facts = {"operation": what, "rows": size, "classes": k}
        rows += compare(works, limit=limit, facts=facts, repeats=1 if quick else repeats, notes=notes)
    progress("matching", 1, 1)
    return rows


def update_by_loop(edges: FloatArray, distances: FloatArray) -> None:
    """Renew and wither edges in place, row by row of the batch, as the rule is told; see ``NeighborGraph``."""
    visits, hits = np.zeros(len(edges), dtype=np.int64), np.zeros(edges.shape, dtype=np.int64)
    for row in distances:
        nearest = np.argsort(row, kind="stable")[: min(NEAREST, len(edges))]
        visits[nearest[0]] += 1
        hits[nearest[0], nearest] += 1
        edges[nearest[0], nearest] = 1
    for winner in np.flatnonzero(visits):
        edges[winner] *= DECAY ** np.maximum(visits[winner] - hits[winner], 0)
    edges[edges < LEAST] = 0


def _sorted_counts(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    classes, rows = np.unique(truth, return_inverse=True)
    clusters, columns = np.unique(found, return_inverse=True)
    table = np.zeros((len(classes), len(clusters)), dtype=np.int64)
    np.add.at(table, (rows, columns), 1)
    return table
