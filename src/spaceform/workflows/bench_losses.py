"""Value and gradient of the semi-hard triplet loss beside the peers and the bare product of a batch with itself.

All run in one process on one thread, in turns, so that what disturbs one disturbs all; the figures are medians. The
product ``z z^T`` with its backward pass, three matrix products, is what any loss over all pairs costs at the least.
The largest batch runs in a process of its own, whose peak memory is read.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from spaceform.losses.triplet import TripletLoss
from spaceform.types import Progress, no_progress

DIM, MARGIN = 128, 0.2
BATCHES, QUICK = (1_024, 4_096), (256,)
CLASS_SIZES = (4, 40)
LARGE = 16_384
"""Rows of the batch whose memory is measured: its matrix of distances alone would take 1 GiB, all triplets 17 TiB."""

CUBIC_ROWS = 1_024
"""pytorch-metric-learning lists all triplets: beyond this batch it needs more memory than a machine has."""

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def run(
    *,
    quick: bool = False,
    batches: Sequence[int] | None = None,
    repeats: int = 9,
    progress: Progress = no_progress,
) -> list[dict[str, Any]]:
    """Return a row per batch, class size and method: milliseconds, and how many products of the batch that is.

    ``faster`` says how many times ours is faster. Parameters: ``batches`` rows (default 1,024 and 4,096, and 16,384 for
    the memory; ``quick``: 256 alone), ``repeats`` of each measurement. Peers that are not installed are left out.
    """
    sizes = list(batches or (QUICK if quick else BATCHES))
    rows: list[dict[str, Any]] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for batch in sizes:
            for class_size in CLASS_SIZES:
                progress("semi-hard triplets", len(rows), 4 * len(sizes) * len(CLASS_SIZES))
                rows += _compare(batch, class_size, repeats)
    finally:
        torch.set_num_threads(threads)
    if not quick and batches is None:
        rows.append({"batch": LARGE, "class size": 40, "method": "spaceform", **_child(LARGE, 40)})
    progress("semi-hard triplets", 1, 1)
    return rows


def measure_memory(batch: int, class_size: int) -> dict[str, float]:
    """Return milliseconds of one pass and this process's peak memory in MB, of which ``before MB`` was there first."""
    torch.set_num_threads(1)
    embeddings, labels = _batch(256, 4)
    step = _ours()
    step(embeddings, labels).backward()
    before = _peak()
    embeddings, labels = _batch(batch, class_size)
    seconds = _seconds(step, embeddings, labels)
    return {"ms": 1e3 * seconds, "peak MB": _peak(), "before MB": before}


def _compare(batch: int, class_size: int, repeats: int) -> list[dict[str, Any]]:
    embeddings, labels = _batch(batch, class_size)
    steps = {"spaceform": _ours(), "product z z^T": _product, **_peers(batch)}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, step in steps.items():
            # peers take seconds: three of their turns tell enough, and the first one of all only warms up
            if turn <= 3 or name in {"spaceform", "product z z^T"}:
                times[name].append(_seconds(step, embeddings, labels))
    medians = {name: statistics.median(seen[1:] or seen) for name, seen in times.items()}
    return [
        {
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


def _ours() -> Step:
    loss, generator = TripletLoss(margin=MARGIN), torch.Generator().manual_seed(0)
    return lambda rows, labels: loss.with_figures(rows, labels, generator=generator)[0]


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


def _peers(batch: int) -> dict[str, Step]:
    found: dict[str, Step] = {}
    if batch <= CUBIC_ROWS and importlib.util.find_spec("pytorch_metric_learning") is not None:
        from pytorch_metric_learning.distances import LpDistance
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import TripletMarginMiner

        squared = LpDistance(power=2)
        miner = TripletMarginMiner(margin=MARGIN, distance=squared, type_of_triplets="semihard")
        criterion = TripletMarginLoss(margin=MARGIN, distance=squared)
        found["pytorch-metric-learning"] = lambda rows, labels: criterion(rows, labels, miner(rows, labels))
    if importlib.util.find_spec("sentence_transformers") is not None:
        name = "sentence_transformers.sentence_transformer.losses"  # until version 5 one level up
        known = importlib.util.find_spec("sentence_transformers.sentence_transformer") is not None
        losses = importlib.import_module(name if known else "sentence_transformers.losses")
        peer = losses.BatchSemiHardTripletLoss(model=None, margin=MARGIN)
        found["sentence-transformers"] = lambda rows, labels: peer.compute_loss_from_embeddings([rows], labels)
    return found


def _child(batch: int, class_size: int) -> dict[str, float]:
    code = (
        "import json; from spaceform.workflows.bench_losses import measure_memory; "
        f"print(json.dumps(measure_memory({batch}, {class_size})))"
    )
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    done = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ, **one}
    )
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def _peak() -> float:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1e6 if sys.platform == "darwin" else 1e3)
