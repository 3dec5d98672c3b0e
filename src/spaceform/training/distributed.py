"""Rows of all processes: what a loss over pairs needs, since by itself a process sees only its own negatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist

from spaceform.ops.ranks.rows import gather, rows_of_ranks, world_size

__all__ = ["average_gradients", "from_first", "gather", "gather_with_grad", "is_first", "world_size"]


def gather_with_grad(rows: torch.Tensor) -> torch.Tensor:
    """Return the rows ``(sum of B, ...)`` of all processes, in the order of their ranks; gradients flow back.

    The ranks may hold different numbers of rows ``(B, ...)``, of one width. Every process then computes the loss of the
    whole batch, ``loss(gather_with_grad(embeddings), gather(labels))``. The gradient of a row is summed over the losses
    of all processes; together with the mean that ``DistributedDataParallel`` takes over processes, the parameters
    get the gradient of one process with the whole batch. Outside a process group the rows come back as they are.

    Raises ``InputError`` when the ranks disagree on width or dtype. Sends each rank the rows of all.
    """
    if world_size() == 1:
        return rows
    gathered: torch.Tensor = _Gather.apply(rows)
    return gathered


def from_first(values: Sequence[float]) -> list[float]:
    """Return the numbers of the first process on all of them, so that all decide alike; others may give any as many."""
    if world_size() == 1:
        return list(values)
    cuda = dist.get_backend() == "nccl"
    shared = torch.tensor(values, dtype=torch.float64, device="cuda" if cuda else "cpu")
    dist.broadcast(shared, src=0)
    found: list[float] = shared.tolist()
    return found


def average_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Let every step of ``optimizer`` first average its gradients over processes, as ``DistributedDataParallel`` does.

    With losses of the whole batch (:func:`gather_with_grad`) parameters then move as in one process. A parameter
    without gradient counts as 0. Outside a process group nothing changes.
    """
    if world_size() == 1:
        return

    def average(joint: torch.optim.Optimizer, *_: object) -> None:
        for group in joint.param_groups:
            for value in group["params"]:
                if value.grad is None:
                    value.grad = torch.zeros_like(value)
                dist.all_reduce(value.grad)
                value.grad /= world_size()

    optimizer.register_step_pre_hook(average)


def is_first() -> bool:
    """Return whether this is the first process, or the only one."""
    return world_size() == 1 or dist.get_rank() == 0


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor) -> torch.Tensor:
        parts = rows_of_ranks(rows)
        ctx.counts = [len(part) for part in parts]
        return torch.cat(parts)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, output: torch.Tensor) -> torch.Tensor:
        summed = output.contiguous()
        dist.all_reduce(summed)
        first = sum(ctx.counts[: dist.get_rank()])
        return summed[first : first + ctx.counts[dist.get_rank()]]
