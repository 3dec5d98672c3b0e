"""A head that reads how far a row is from each prototype and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.errors import InputError

HIDDEN = (128, 64, 32, 16, 8)


class DistanceHead(nn.Module):
    """Scores for ``n_out`` answers from the distances of a row to the ``n_way`` prototypes of an episode.

    A perceptron ``n_way - 128 - 64 - 32 - 16 - 8 - n_out`` with ReLU (DAFOS-Net), which gives logits ``(n, n_out)`` of
    ``distances (n, K)``. The classes of an episode come in random order, so a head that sees them in that order answers
    otherwise when they are renumbered; with ``sort`` it sees the distances in ascending order, and does not.

    Parameters: ``n_way`` >= 2; ``n_out`` answers (known or unknown; one of the domains); ``sort``: False is the
    paper's; ``nearest``: None ties the head to episodes of ``n_way`` classes, a number m lets it read the m nearest
    distances alone, so that it serves any K >= m (with ``sort`` only); ``hidden`` widths between.

    Raises ``InputError`` for K other than ``n_way`` (or below ``nearest``). O(n K log K + n parameters).

    >>> head = DistanceHead(3)
    >>> distances = torch.tensor([[4.0, 1.0, 2.0]])
    >>> torch.equal(head(distances), head(distances.flip(1)))
    True
    """

    def __init__(
        self,
        n_way: int,
        *,
        n_out: int = 2,
        sort: bool = True,
        nearest: int | None = None,
        hidden: Sequence[int] = HIDDEN,
    ) -> None:
        super().__init__()
        self.n_way = check_integer(n_way, "n_way", low=2)
        check_integer(n_out, "n_out", low=2)
        self.nearest = None if nearest is None else check_integer(nearest, "nearest", low=1, high=n_way)
        if self.nearest is not None and not sort:
            raise InputError("nearest", got=f"{nearest} with sort=False", expected="None, or sort=True")
        self.sort = sort
        widths = [self.n_way if self.nearest is None else self.nearest, *hidden, n_out]
        layers: list[nn.Module] = []
        for width, following in pairwise(check_integer(width, "hidden", low=1) for width in widths):
            layers += [nn.Linear(width, following), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, distances: torch.Tensor) -> torch.Tensor:
        """Return logits ``(n, n_out)`` for ``distances (n, K)``."""
        ways = distances.shape[-1]
        if ways < self.nearest if self.nearest is not None else ways != self.n_way:
            wanted = f"{self.n_way}, as in training" if self.nearest is None else f"at least {self.nearest}"
            raise InputError(
                "distances", got=f"{ways} classes", expected=wanted, remedy="train a head that reads the nearest=m"
            )
        read = distances.sort(dim=-1).values[..., : self.nearest] if self.sort else distances
        logits: torch.Tensor = self.layers(read)
        return logits
