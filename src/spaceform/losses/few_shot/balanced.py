"""Cross-entropy in which every answer weighs the same, however many rows have it."""

from __future__ import annotations

import torch
from torch.nn import functional

from spaceform.errors import InputError


def balanced_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean over answers of the mean cross-entropy of their rows, for ``logits (n, C)``, ``targets (n,)``.

    Without it a head that sees three unknown rows for each known one says unknown to all. Answers without rows have no
    part. Raises ``InputError`` for other lengths or numbers. O(n C).
    """
    if targets.shape != logits.shape[:1] or len(targets) == 0:
        raise InputError("targets", got=f"shape {tuple(targets.shape)}", expected=f"({len(logits)},), at least one row")
    if not 0 <= int(targets.min()) <= int(targets.max()) < logits.shape[1]:
        raise InputError("targets", got="numbers out of range", expected=f"0 to {logits.shape[1] - 1}")
    counts = torch.bincount(targets, minlength=logits.shape[1]).to(logits)
    weights = 1 / (counts[targets] * (counts > 0).sum())
    return (functional.cross_entropy(logits, targets, reduction="none") * weights).sum()
