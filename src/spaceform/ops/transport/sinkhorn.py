"""Soft assignments in which every class gets the same mass (Cuturi 2013; Caron and others 2020)."""

from __future__ import annotations

import math

import torch
from torch import distributed

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.ops.ranks.rows import world_size

LIMIT = {torch.float32: 1e12, torch.float64: 1e150}
"""How far apart factors may lie: what underflows in the kernel, times this, is still too small to matter."""

BLOCK_BYTES = 256 * 1024
"""Rows taken at once: they stay in the cache of one core."""


@torch.no_grad()
def sinkhorn(
    logits: torch.Tensor, *, epsilon: float = 0.05, n_rounds: int = 3, all_ranks: bool = False
) -> torch.Tensor:
    """Return assignments ``(..., B, k)`` of B rows to k classes: rows sum to 1, each class gets about ``B / k``.

    ``exp(logits / epsilon)`` is divided by the sums of the classes and by the sums of the rows, ``n_rounds`` times; the
    rows come last, so they are exact, and the masses of the classes approach ``B / k`` with the rounds. It is the plan
    of the transport of largest entropy. Factors of rows and classes are scaled (Cuturi 2013), in float32 or float64;
    where these would lie too far apart all is done over on logarithms: no logits overflow.

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
    # a sum is finite only where all are, unless it overflows: then each is looked at
    if not torch.isfinite(logits.sum()) and not torch.isfinite(logits).all():
        raise InputError("logits", got="NaN or an infinity", expected="finite values")
    given = logits if logits.dtype == torch.float64 else logits.float()
    together = all_ranks and world_size() > 1
    found = _by_factors(given, scale, n_rounds, together)
    return _by_logarithms(given / scale, n_rounds, together) if found is None else found


def _by_factors(logits: torch.Tensor, scale: float, n_rounds: int, together: bool) -> torch.Tensor | None:
    """Return the plan by one ``exp`` and factors of rows and classes; None where these exceed their limit on any rank.

    The largest entry of each row and of each class of the kernel is 1. Factors of classes are kept at most 1, so those
    of rows lie between ``1 / k`` and the limit, and what underflows in the kernel is small in a plan whose rows sum to
    1. Each round reads the kernel once, in blocks of rows.
    """
    step = max(1, BLOCK_BYTES * logits.shape[-2] // max(1, logits.nbytes))
    parts = logits.split(step, -2)
    kernel = torch.empty_like(logits, memory_format=torch.contiguous_format)
    blocks = kernel.split(step, -2)
    peaks = [part.amax(-1, keepdim=True) for part in parts]
    # the first sums of classes are those of exp(logits / scale) itself, whose rows differ by their largest entry
    highest = _largest(torch.cat(peaks, -2), together)
    rows = [((peak - highest) / scale).exp_() for peak in peaks]
    tops = [
        _largest(torch.sub(part, peak, out=block), False)
        for part, peak, block in zip(parts, peaks, blocks, strict=True)
    ]
    top = _largest(torch.cat(tops, -2), together)
    least = torch.cat(rows, -2).amin() if logits.numel() else logits.new_ones(())
    columns = torch.ones_like(top)
    for turn in range(n_rounds):
        sums = torch.zeros_like(top)
        for at, block in enumerate(blocks):
            if turn == 0:
                block.sub_(top).div_(scale).exp_()
            else:
                rows[at] = (block @ columns.mT).reciprocal_()
            sums += rows[at].mT @ block
        if together:
            distributed.all_reduce(sums)
        columns = sums.amin(-1, keepdim=True) / sums
        least = torch.minimum(least, columns.amin())
    if together:
        distributed.all_reduce(least, op=distributed.ReduceOp.MIN)
    if not bool(least > 1 / LIMIT[logits.dtype]):  # nor is NaN, of sums that came to 0
        return None
    for block in blocks:
        block.mul_(columns)
        block.div_(block.sum(-1, keepdim=True))
    return kernel


def _by_logarithms(plan: torch.Tensor, n_rounds: int, together: bool) -> torch.Tensor:
    for _ in range(n_rounds):
        plan = plan - _class_sums(plan, together)
        plan = plan - plan.logsumexp(-1, keepdim=True)
    return plan.exp()


def _class_sums(plan: torch.Tensor, together: bool) -> torch.Tensor:
    """Return the logarithm of the sums over rows ``(..., 1, k)``, over those of all ranks if asked."""
    largest = _largest(plan, together)
    sums = (plan - largest).exp().sum(-2, keepdim=True)
    if together:
        distributed.all_reduce(sums)
    return largest + sums.log()


def _largest(rows: torch.Tensor, together: bool) -> torch.Tensor:
    """Return the largest entries over rows ``(..., 1, k)``, over those of all ranks if asked; without any, -inf."""
    shape = (*rows.shape[:-2], 1, rows.shape[-1])
    largest = rows.amax(-2, keepdim=True) if rows.shape[-2] else rows.new_full(shape, -math.inf)
    if together:
        distributed.all_reduce(largest, op=distributed.ReduceOp.MAX)
    return largest
