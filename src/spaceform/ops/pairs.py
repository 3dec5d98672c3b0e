"""Pairwise quantities of rows, for NumPy arrays and torch tensors alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from spaceform.errors import InputError

if TYPE_CHECKING:
    import torch

    Rows = TypeVar("Rows", np.ndarray, torch.Tensor)
else:
    Rows = TypeVar("Rows")

BLOCK_BYTES = 64 * 2**20
"""Default budget of one block of pairwise values: fits the last-level cache of a server, and any laptop's memory."""

ZERO_NORM = 1e-12
"""Rows shorter than this have no direction."""


def squared_distances(A: Rows, B: Rows) -> Rows:
    """Return the squared Euclidean distances ``(n, m)`` between the rows of ``A (n, d)`` and ``B (m, d)``.

    Uses ``|a|^2 + |b|^2 - 2 a.b`` (one matrix product, O(n m d)) clamped at 0, since rounding leaves tiny
    negatives. The absolute error is about ``eps * (|a|^2 + |b|^2)``: centre the data, or use float64, where
    near-duplicates matter.
    """
    squares_a = (A * A).sum(-1)[:, None]
    squares_b = (B * B).sum(-1)[None, :]
    return (squares_a + squares_b - 2 * (A @ B.T)).clip(min=0)


def l2_normalize(X: Rows, *, name: str = "X") -> Rows:
    """Return the rows of ``X (n, d)`` scaled to unit length.

    Raises ``InputError`` for a row with norm below 1e-12: it has no direction, and dividing by a clamp would
    return a vector that is silently not of unit length.
    """
    norms = (X * X).sum(-1)[:, None] ** 0.5
    if bool((norms < ZERO_NORM).any()):
        row = int((norms[:, 0] < ZERO_NORM).nonzero()[0].reshape(-1)[0])
        raise InputError(
            name, got=f"a zero vector (row {row})", expected="rows with a direction", remedy="drop such rows"
        )
    return X / norms


def row_blocks(n: int, m: int, *, itemsize: int = 8, budget: int = BLOCK_BYTES) -> Iterator[slice]:
    """Yield slices over ``n`` rows such that a block of rows times ``m`` columns stays within ``budget`` bytes."""
    step = max(1, budget // max(1, m * itemsize))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))
