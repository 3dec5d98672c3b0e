"""Value and gradient of every loss of the family beside the peers and the bare product of a batch with itself.

All run in one process on one thread, in turns, so that what disturbs one disturbs all; the figures are medians. The
product ``z z^T`` with its backward pass, three matrix products, is what any loss over all pairs costs at the least.
The largest batch runs in a process of its own for each loss, whose peak memory is read.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from spaceform.types import Progress, no_progress
from spaceform.workflows.benching.loss_family import OURS, Step, ours, peers
from spaceform.workflows.benching.memory import peak_bytes

DIM = 128
BATCHES, QUICK = (256, 1_024, 4_096), (256,)
CLASS_SIZES = {"semi-hard triplet": (4, 40)}
"""Rows per class; 4 where nothing is said. Mining depends on it, other losses hardly do."""

LARGE = 16_384
"""Rows of the batch whose memory is measured: its matrix of distances alone would take 1 GiB, all triplets 17 TiB."""


def run(
    *,
    quick: bool = False,
    batches: Sequence[int] | None = None,
    losses: Sequence[str] | None = None,
    repeats: int = 9,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Return a row per loss, batch, class size and method: milliseconds, and how many products of the batch that is.

    ``faster`` says how many times ours is faster. Parameters: ``batches`` rows (default 256, 1,024 and 4,096, and
    16,384 for the memory; ``quick``: 256 alone), ``losses`` by name (default all), ``repeats`` of each measurement.
    Peers that are not installed, or can't do so many rows, are left out.
    """
    names = list(OURS if losses is None else losses)
    jobs = [
        (name, batch, class_size)
        for batch in batches or (QUICK if quick else BATCHES)
        for name in names
        for class_size in CLASS_SIZES.get(name, (4,))
    ]
    large = names if not quick and batches is None else []
    rows: list[dict[str, Any]] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for done, (name, batch, class_size) in enumerate(jobs):
            progress(name, done, len(jobs) + len(large))
            rows += _compare(name, batch, class_size, repeats)
    finally:
        torch.set_num_threads(threads)
    for done, name in enumerate(large, start=len(jobs)):
        progress(f"{name}, memory", done, len(jobs) + len(large))
        figures = _child(name, LARGE, 40)
        rows.append({"loss": name, "batch": LARGE, "class size": 40, "method": "spaceform", **figures})
    progress("losses", 1, 1)
    return rows


def measure_memory(loss: str, batch: int, class_size: int) -> dict[str, float]:
    """Return milliseconds of one pass and this process's peak memory in MB, of which ``before MB`` was there first."""
    torch.set_num_threads(1)
    embeddings, labels = _batch(256, 4)
    ours(loss, classes=64, width=DIM)(embeddings, labels).backward()
    before = peak_bytes() / 1e6
    embeddings, labels = _batch(batch, class_size)
    step = ours(loss, classes=int(labels.max()) + 1, width=DIM)
    seconds = _seconds(step, embeddings, labels)
    return {"ms": 1e3 * seconds, "peak MB": peak_bytes() / 1e6, "before MB": before}


def _compare(loss: str, batch: int, class_size: int, repeats: int) -> list[dict[str, Any]]:
    embeddings, labels = _batch(batch, class_size)
    size = {"classes": int(labels.max()) + 1, "width": DIM}
    steps = {"spaceform": ours(loss, **size), "product z z^T": _product, **peers(loss, batch, **size)}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, step in steps.items():
            # peers take seconds: three of their turns tell enough, and the first one of all only warms up
            if turn <= 3 or name in {"spaceform", "product z z^T"}:
                times[name].append(_seconds(step, embeddings, labels))
    medians = {name: statistics.median(seen[1:] or seen) for name, seen in times.items()}
    return [
        {
            "loss": loss,
            "batch": batch,
            "class size": class_size,
            "method": name,
            "ms": 1e3 * seconds,
            "products": seconds / medians["product z z^T"],
            "faster": seconds / medians["spaceform"],
        }
        for name, seconds in medians.items()
    ]


def _batch(batch: int, class_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows around class centres, as early in training: nearly every pair has semi-hard negatives, often hundreds."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(batch) // class_size
    centres = torch.randn(int(labels.max()) + 1, DIM, generator=generator)
    noise = torch.randn(batch, DIM, generator=generator)
    return torch.nn.functional.normalize(0.35 * centres[labels] + noise, dim=1).requires_grad_(), labels


def _seconds(step: Step, embeddings: torch.Tensor, labels: torch.Tensor) -> float:
    embeddings.grad = None
    begun = time.perf_counter()
    step(embeddings, labels).backward()
    return time.perf_counter() - begun


def _product(rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A scalar whose gradient by the product is the product itself, so that nothing but matrix products is timed."""
    product = rows @ rows.T
    return _Halved.apply(product)


class _Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, product: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(product)
        return product[0, 0].clone()

    @staticmethod
    def backward(ctx: Any, output: torch.Tensor) -> torch.Tensor:
        (product,) = ctx.saved_tensors
        return product


def _child(loss: str, batch: int, class_size: int) -> dict[str, float]:
    code = (
        "import json; from spaceform.workflows.benches.losses import measure_memory; "
        f"print(json.dumps(measure_memory({loss!r}, {batch}, {class_size})))"
    )
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    done = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ, **one}
    )
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures
