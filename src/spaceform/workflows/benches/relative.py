"""Relative coordinates of 1,000,000 rows on 1,000 anchors beside one matrix product, which is the limit.

Rows are taken in blocks, as they come from a Space on disk, and each block's coordinates are let go: memory is that of
the rows and one block. The peer, and the product, do the same. Memory is read in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity

from spaceform.heads.relative import relative_projection
from spaceform.types import FloatArray, Progress, no_progress
from spaceform.workflows.benching.memory import peak_bytes
from spaceform.workflows.benching.turns import OURS, Work, compare, multiplying_rate

ROWS, ANCHORS, DIM, BLOCK = 1_000_000, 1_000, 384, 20_000
QUICK = 4_000
PRODUCT, PEER = "matrix product", "scikit-learn cosine_similarity"

Projection = Callable[[FloatArray, FloatArray], FloatArray]
METHODS: dict[str, Projection] = {
    OURS: relative_projection,
    PRODUCT: lambda rows, anchors: rows @ anchors.T,
    PEER: cosine_similarity,
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(*, quick: bool = False, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Return a row per method: time, its ratio to ours and to the product at the core's best rate, and peak memory.

    ``MB`` is the peak of a process that holds the rows, ``MB before`` that before the first block.
    """
    n = QUICK if quick else ROWS
    X = _rows(n)
    works: dict[str, Work | None] = {name: _bound(method, X) for name, method in METHODS.items()}
    progress("relative", 0, 2)
    rows = compare(
        works,
        limit=n * ANCHORS * DIM / multiplying_rate(BLOCK, ANCHORS, DIM),
        facts={"rows": n, "anchors": ANCHORS, "dimensions": DIM},
        repeats=1,
        notes={},
    )
    del X, works
    progress("relative", 1, 2)
    memory = _child(n)
    progress("relative", 2, 2)
    return [row | memory if row["method"] == OURS else row for row in rows]


def measure_memory(n: int) -> dict[str, float]:
    """Return this process's peak memory in MB after ours on ``n`` rows, and that before."""
    X = _rows(n)
    before = peak_bytes() / 1e6
    _bound(relative_projection, X)()
    return {"MB": peak_bytes() / 1e6, "MB before": before}


def _rows(n: int) -> FloatArray:
    return np.random.default_rng(0).standard_normal((n, DIM), dtype=np.float32)


def _bound(method: Projection, X: FloatArray) -> Work:
    def work() -> None:
        for start in range(0, len(X), BLOCK):
            method(X[start : start + BLOCK], X[:ANCHORS])

    return work


def _child(n: int) -> dict[str, float]:
    code = (
        "import json; from spaceform.workflows.benches.relative import measure_memory; "
        f"print(json.dumps(measure_memory({n})))"
    )
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **dict.fromkeys(THREADS, "1")},
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures
