"""Euclidean projection onto the probability simplex, for NumPy arrays and torch tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from spaceform.geometry.arrays import namespace

if TYPE_CHECKING:
    import torch

    Rows = TypeVar("Rows", np.ndarray, torch.Tensor)
else:
    Rows = TypeVar("Rows")


def project_simplex(V: Rows) -> Rows:
    """Return the nearest points ``(n, d)`` with non-negative entries and sum 1 to the rows of ``V (n, d)``.

    ``max(v - t, 0)`` with the one ``t`` per row that makes the sum 1, found by sorting (Held, Wolfe and Crowder 1974;
    Duchi et al. 2008, algorithm 1). O(n d log d).
    """
    xp = namespace(V)
    falling = xp.flip(xp.sort(V, axis=-1), -1) if xp is np else xp.sort(V, dim=-1, descending=True).values
    excess = falling.cumsum(-1) - 1
    ranks = xp.arange(1, V.shape[-1] + 1)
    ranks = ranks.astype(V.dtype) if xp is np else ranks.to(V)
    support = (falling * ranks > excess).sum(-1)[..., None]
    threshold = (
        np.take_along_axis(excess, support - 1, -1) if xp is np else xp.gather(excess, -1, support - 1)
    ) / support
    return (V - threshold).clip(min=0)
