"""A row comes nearer to its class's vector than to those of the classes it may be confused with."""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from spaceform.checks import check_real
from spaceform.errors import InputError


@final
class NAVQLoss(nn.Module):
    """Neighbour-aware vector quantization, the mean over rows of ``relu(d+ - d-)``.

    With squared Euclidean distances, ``d+`` is that to the vector of the row's class y, ``d-`` the mean of those to the
    classes with an edge to y (never y itself), weighted by ``w_j = exp(-sharpness d_j) / sum``, through which no
    gradient goes. A class without neighbours has ``d- = 0``: its rows are drawn to it without end.

    Parameters: ``sharpness`` >= 0 of the weights, 0.001 in the released code. Weights are a softmax, so that far rows
    still have neighbours where the exponentials alone would all vanish. There is no margin and no bound: on features of
    large norm the loss is large, and so are the steps of vectors at their rate of 5.

    ``forward(distances (B, C) Euclidean, targets (B,), edges (C, C)) -> scalar``. Raises ``InputError`` for shapes that
    do not fit and no rows. O(B C).

    >>> distances, edges = torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[1.0, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
    >>> float(NAVQLoss()(distances, torch.tensor([0]), edges))  # 3 ** 2 - 1 ** 2
    8.0
    """

    def __init__(self, *, sharpness: float = 0.001) -> None:
        super().__init__()
        self.sharpness = check_real(sharpness, "sharpness", low=0)

    def forward(self, distances: torch.Tensor, targets: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """Return the loss of rows at ``distances`` from all class vectors."""
        size = distances.shape[-1]
        if distances.ndim != 2 or not len(distances) or targets.shape != distances.shape[:1]:
            got = f"distances {tuple(distances.shape)}, targets {tuple(targets.shape)}"
            raise InputError("distances", got=got, expected="(B, C) with B >= 1, and one target per row")
        if edges.shape != (size, size):
            raise InputError("edges", got=f"shape {tuple(edges.shape)}", expected=f"({size}, {size})")
        squared = distances.square()
        own = squared.gather(1, targets[:, None])[:, 0]
        near = (edges[targets] > 0).scatter(1, targets[:, None], False)
        with torch.no_grad():
            scores = (-self.sharpness * squared).masked_fill(~near, -torch.inf)
            weights = torch.where(near.any(1, keepdim=True), scores, 0).softmax(1) * near
        return (own - (weights * squared).sum(1)).relu().mean()

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"sharpness={self.sharpness}"
