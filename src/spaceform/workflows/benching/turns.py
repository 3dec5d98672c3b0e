"""Ours and the peers in turns: what disturbs one disturbs all; and how fast this core copies and multiplies."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

OURS = "spaceform"
ABSENT = "not installed"

Work = Callable[[], object]


def compare(
    works: Mapping[str, Work | None], *, limit: float, facts: Mapping[str, Any], repeats: int, notes: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return a row per method with the ``facts``: milliseconds, and how many times ours and the limit that is.

    Every method runs ``repeats`` times on one thread after a turn that warms up; the median of the core's seconds
    counts. ``works`` holds :data:`OURS`, and None for a peer that is not installed; ``limit`` in seconds; ``notes`` say
    in what a method differs.
    """
    times: dict[str, list[float]] = {name: [] for name, work in works.items() if work is not None}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            for _ in range(repeats + 1):
                for name, seen in times.items():
                    seen.append(seconds(works[name]))
    finally:
        torch.set_num_threads(threads)
    medians = {name: statistics.median(seen[1:] or seen) for name, seen in times.items()}
    return [
        {
            **facts,
            "method": name,
            "ms": 1e3 * medians[name] if name in medians else None,
            "times ours": medians[name] / medians[OURS] if name in medians else None,
            "times the limit": medians[name] / limit if name in medians else None,
            "note": notes.get(name, "") if name in medians else ABSENT,
        }
        for name in works
    ]


def copying_rate() -> float:
    """Return the bytes per second, read and written, of copying 128 MiB."""
    source = np.ones(2**25, np.float32)
    target = np.empty_like(source)
    return 2 * source.nbytes / min(seconds(lambda: np.copyto(target, source)) for _ in range(5))


def multiplying_rate(rows: int = 1_000, columns: int = 1_000, width: int = 384) -> float:
    """Return the multiply-adds per second of a float32 matrix product of that size on one thread."""
    A, B = np.ones((rows, width), np.float32), np.ones((columns, width), np.float32)
    product = np.empty((rows, columns), np.float32)
    with threadpool_limits(1):
        return rows * columns * width / min(seconds(lambda: np.matmul(A, B.T, out=product)) for _ in range(10))


def seconds(work: Work | None) -> float:
    """Return the core's seconds of one run."""
    begun = time.process_time()
    if work is not None:
        work()
    return time.process_time() - begun
