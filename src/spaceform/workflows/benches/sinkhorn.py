"""Equal shares by Sinkhorn's scaling beside POT: the same rounds from the same start, and the same plan.

The limit is the traffic of memory that nobody can avoid, at this core's rate of copying: logits read once, a kernel
written once and read once a round, the plan written.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import partial
from typing import Any

import torch

from spaceform.ops.transport.sinkhorn import sinkhorn
from spaceform.types import Progress, no_progress
from spaceform.workflows.benching.turns import OURS, Work, compare, copying_rate

SIZES = ((512, 100, 3), (512, 3_000, 3), (4_096, 1_000, 3), (4_096, 1_000, 50))
"""Rows, classes, rounds: UNO's, SwAV's, and a larger batch; 3 rounds in both papers."""

QUICK = ((256, 50, 3),)
EPSILON = 0.05
METHODS = {"POT, sinkhorn": "sinkhorn", "POT, sinkhorn_log": "sinkhorn_log"}


def run(*, quick: bool = False, repeats: int = 5, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Return a row per size and method; ``note`` says how far the plan is from ours, of rows that sum to 1."""
    rows: list[dict[str, Any]] = []
    rate = copying_rate()
    sizes = QUICK if quick else SIZES
    for done, (n, k, rounds) in enumerate(sizes):
        progress("Sinkhorn", done, len(sizes))
        logits = _cosines(n, k)
        plan = sinkhorn(logits, epsilon=EPSILON, n_rounds=rounds)
        works: dict[str, Work | None] = {OURS: partial(sinkhorn, logits, epsilon=EPSILON, n_rounds=rounds)}
        works |= {name: peer(kind, logits, rounds) for name, kind in METHODS.items()}
        notes = {
            name: f"differs by {float((n * torch.as_tensor(work()) - plan).abs().max()):.0e}"
            for name, work in works.items()
            if work is not None and name != OURS
        }
        rows += compare(
            works,
            limit=4 * n * k * (3 + rounds) / rate,
            facts={"rows": n, "classes": k, "rounds": rounds},
            repeats=1 if quick else repeats,
            notes=notes,
        )
    progress("Sinkhorn", 1, 1)
    return rows


def peer(kind: str, logits: torch.Tensor, rounds: int) -> Work | None:
    """Return POT's plan of these rounds from classes of equal mass, on float32 tensors; None without POT."""
    if importlib.util.find_spec("ot") is None:
        return None
    solve = importlib.import_module("ot").sinkhorn
    n, k = logits.shape
    shares = torch.full((n,), 1 / n), torch.full((k,), 1 / k)
    options = {"method": kind, "numItermax": rounds, "stopThr": 0, "warn": False}
    return lambda: solve(*shares, -logits, EPSILON, **options)


def _cosines(n: int, k: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    rows, classes = (
        torch.nn.functional.normalize(torch.randn(count, 128, generator=generator), dim=1) for count in (n, k)
    )
    return rows @ classes.T
