"""Soft assignments in which every class gets the same mass (Cuturi 2013; Caron and others 2020)."""

from __future__ import annotations

import math

import torch
from torch import distributed

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.ops.ranks.rows import world_size


@torch.no_grad()
def sinkhorn(
    logits: torch.Tensor, *, epsilon: float = 0.05, n_rounds: int = 3, all_ranks: bool = False
) -> torch.Tensor:
    """Return assignments ``(..., B, k)`` of B rows to k classes: rows sum to 1, each class gets about ``B / k``.

    ``exp(logits / epsilon)`` is divided by the sums of the classes and by the sums of the rows, ``n_rounds`` times; the
    rows come last, so they are exact, and the masses of the classes approach ``B / k`` with the rounds. It is the plan
    of the transport of largest entropy. All is done on logarithms, in float32 or float64: no logits overflow.

    Parameters: ``logits (..., B, k)``, leading dimensions apart from each other; ``epsilon`` > 0: 0.05 in SwAV and UNO;
    ``n_rounds`` >= 1; ``all_ranks``: B rows of each process, which may differ, are one batch (sums of the classes are
    reduced over the process group; every rank has to call). No gradient. Without rows there is nothing to assign.
    Raises ``InputError`` for other shapes, NaN and infinities. O(n_rounds B k).

    >>> plan = sinkhorn(torch.tensor([[0.9, 0.8], [0.9, 0.1]]), n_rounds=50)  # both prefer the first, one strongly
    >>> plan.argmax(1).tolist()
    [1, 0]
    """
    scale = check_real(epsilon, "epsilon", low=0, open_ends=True)
    check_integer(n_rounds, "n_rounds", low=1)
    if logits.ndim < 2 or not logits.is_floating_point() or logits.shape[-1] == 0:
        got = f"{logits.dtype} of shape {tuple(logits.shape)}"
        raise InputError("logits", got=got, expected="floats of shape (..., B, k), k >= 1")
    if not torch.isfinite(logits).all():
        raise InputError("logits", got="NaN or an infinity", expected="finite values")
    plan = (logits if logits.dtype == torch.float64 else logits.float()) / scale
    together = all_ranks and world_size() > 1
    for _ in range(n_rounds):
        plan = plan - _class_sums(plan, together)
        plan = plan - plan.logsumexp(-1, keepdim=True)
    return plan.exp()


def _class_sums(plan: torch.Tensor, together: bool) -> torch.Tensor:
    """Return the logarithm of the sums over rows ``(..., 1, k)``, over those of all ranks if asked."""
    shape = (*plan.shape[:-2], 1, plan.shape[-1])
    largest = plan.amax(-2, keepdim=True) if plan.shape[-2] else plan.new_full(shape, -math.inf)
    if together:
        distributed.all_reduce(largest, op=distributed.ReduceOp.MAX)
    sums = (plan - largest).exp().sum(-2, keepdim=True)
    if together:
        distributed.all_reduce(sums)
    return largest + sums.log()
