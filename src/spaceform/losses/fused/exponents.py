"""Sums of exponentials along rows, in place, without overflow, and without the tiny numbers that stall a processor.

Numbers below the normal range take a hundred times as long to multiply, and exponentials near it as long to compute. A
well-trained network is full of them: so what is too small to change a sum is made zero first.
"""

from __future__ import annotations

import torch

LOWEST = {torch.float32: -40.0, torch.float64: -600.0}
"""Exponents below it count as -inf: at 4e-18 of the largest, a term changes no sum in single precision."""
LEAST = {torch.float32: 1e-15, torch.float64: 1e-100}
"""Slopes below it count as 0; times the least exponential they are still normal numbers."""


def exponentiate(scores: torch.Tensor, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Overwrite ``scores (r, m)`` by ``exp(scale (s - top))``; return their sum and ``log sum exp(scale s)``.

    Both are ``(r, 1)``; ``top`` is the largest score of the row. A row of -inf only becomes zeros, with sum 0 and
    logarithm -inf; ``scale`` is positive.
    """
    top = scores.amax(1, keepdim=True)
    top.masked_fill_(top == -torch.inf, 0)
    scores.sub_(top)
    if scale != 1:
        scores.mul_(scale)
    total = small_exp(scores).sum(1, keepdim=True)
    return total, total.log() + scale * top


def small_exp(exponents: torch.Tensor) -> torch.Tensor:
    """Overwrite ``exponents`` by their exponentials, 0 for those below ``LOWEST`` (-inf too), and return them."""
    lowest = LOWEST[exponents.dtype]
    exponents.clamp_(min=lowest).exp_()
    return torch.threshold_(exponents, 2 * torch.tensor(lowest).double().exp().item(), 0.0)


def share(part: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
    """Return ``part / total``, 0 where a row had nothing to sum: the factor that turns exponentials into slopes."""
    return torch.where((total > 0) & (part.abs() > LEAST[part.dtype]), part / total, 0)
