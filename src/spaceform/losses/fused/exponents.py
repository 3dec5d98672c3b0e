"""Sums of exponentials along rows, in place, without overflow."""

from __future__ import annotations

import torch


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
    total = scores.exp_().sum(1, keepdim=True)
    return total, total.log() + scale * top


def share(part: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
    """Return ``part / total``, 0 where a row had nothing to sum: the factor that turns exponentials into slopes."""
    return torch.where(total > 0, part / total, 0)
