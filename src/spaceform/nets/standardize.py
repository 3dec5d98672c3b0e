"""Columns brought to mean 0 and variance 1 inside a network, so that what is saved knows its units."""

from __future__ import annotations

from typing import Self, final

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.errors import InputError


@final
class Standardize(nn.Module):
    """``(x - mean) / scale`` by column, with mean and scale of the rows given to :meth:`learn`; constant columns: 0.

    Buffers ``mean`` and ``scale (width,)``; before :meth:`learn` rows pass as they are. O(n d).

    >>> layer = Standardize(1).learn(torch.tensor([[1.0], [3.0]]))
    >>> layer(torch.tensor([[5.0]])).item()
    3.0
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        check_integer(width, "width", low=1)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    @torch.no_grad()
    def learn(self, rows: torch.Tensor) -> Self:
        """Take mean and standard deviation of ``rows (n, width)``, computed in float64."""
        if rows.ndim != 2 or rows.shape[1] != len(self.mean) or not len(rows):
            raise InputError("rows", got=f"shape {tuple(rows.shape)}", expected=f"(n, {len(self.mean)}) with n >= 1")
        exact = rows.double()
        deviation = exact.std(0, correction=0)
        still = deviation <= 1e-7 * exact.abs().amax(0)  # what rounding leaves of a constant column
        self.mean.copy_(exact.mean(0))
        self.scale.copy_(torch.where(still, 1.0, deviation))
        return self

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the rows in the units of those that were fitted."""
        return (rows - self.mean) / self.scale
