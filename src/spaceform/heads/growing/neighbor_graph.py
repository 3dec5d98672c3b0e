"""Which classes lie beside which, learned from distances as neural gas learns its edges."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.heads.growing.state import resize_to


@final
class NeighborGraph(nn.Module):
    """Edges ``E (C, C)`` in [0, 1] between class vectors, symmetric, with a diagonal of ones.

    :meth:`update` looks at the ``k`` nearest vectors of each row, of which the first is the winner a. With ``vis_a``
    rows won by a and ``hit_aj`` of them that have j among their k nearest:

        E_aj <- max(E_aj, [hit_aj > 0]) * decay ** max(0, vis_a - hit_aj);   edges below ``e_min`` are cut;

    afterwards :meth:`symmetrize` takes the mean of E and its transpose. That is the rule of the released code of
    NAPA-VQ, a batch form of neural gas: an edge to a class that is seen beside the winner is renewed, others wither.

    Parameters: ``k`` (15 in the code; fewer classes are all looked at); ``decay`` in (0, 1); ``e_min`` in (0, 1), 0.9
    ** 10 in the code. Edges are in ``state_dict``; loading resizes. Raises ``InputError`` for distances to another
    number of classes, no rows, NaN. O(B C log k) and a pass over the edges per update, no gradient.

    >>> graph = NeighborGraph(k=2)
    >>> graph.grow(3)
    >>> graph.update(torch.tensor([[0.0, 1, 2], [0, 1, 2], [0, 2, 1], [1, 0, 2]]))
    >>> graph.symmetrize()
    >>> [round(float(graph.edges[a, b]), 3) for a, b in ((0, 1), (0, 2), (1, 2))]
    [0.95, 0.405, 0.0]
    """

    edges: torch.Tensor

    def __init__(self, *, k: int = 15, decay: float = 0.9, e_min: float = 0.9**10) -> None:
        super().__init__()
        self.k = check_integer(k, "k", low=1)
        self.decay = check_real(decay, "decay", low=0, high=1, open_ends=True)
        self.e_min = check_real(e_min, "e_min", low=0, high=1, open_ends=True)
        self.register_buffer("edges", torch.zeros(0, 0))

    def __len__(self) -> int:
        return len(self.edges)

    def grow(self, n_new: int) -> None:
        """Add so many classes, each with an edge to itself only."""
        size = len(self) + check_integer(n_new, "n_new", low=1)
        grown = torch.eye(size, dtype=self.edges.dtype, device=self.edges.device)
        grown[: len(self), : len(self)] = self.edges
        self.edges = grown

    @torch.no_grad()
    def update(self, distances: torch.Tensor) -> None:
        """Renew and wither edges by the distances ``(B, C)`` of a batch."""
        size = len(self)
        if distances.ndim != 2 or distances.shape[1] != size or not len(distances):
            raise InputError("distances", got=f"shape {tuple(distances.shape)}", expected=f"(B, {size}) with B >= 1")
        if torch.isnan(distances).any():
            raise InputError("distances", got="NaN", expected="numbers")
        nearest = distances.topk(min(self.k, size), dim=1, largest=False).indices
        # only rows of winners change, at most B of them
        winners, row, visits = nearest[:, 0].unique(return_inverse=True, return_counts=True)
        hits = (row[:, None] * size + nearest).flatten().bincount(minlength=len(winners) * size).view(-1, size)
        powers = self.decay ** torch.arange(len(distances) + 1, device=hits.device).to(self.edges)
        renewed = torch.maximum(self.edges[winners], (hits > 0).to(self.edges))
        renewed *= powers[(visits[:, None] - hits).clamp_(min=0)]
        edges = self.edges.index_copy(0, winners, renewed)
        self.edges = edges.masked_fill_(edges < self.e_min, 0)

    @torch.no_grad()
    def symmetrize(self) -> None:
        """Replace edges by the mean of both directions."""
        self.edges = (self.edges + self.edges.T) / 2

    def neighbors(self, c: int) -> torch.Tensor:
        """Return the classes with an edge to ``c``, without ``c`` itself, ascending."""
        check_integer(c, "c", low=0, high=len(self) - 1)
        found = self.edges[c].nonzero()[:, 0]
        return found[found != c]

    def sample_neighbors(self, classes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw for each of ``classes (n,)`` one class with an edge to it, itself among them, all equally likely."""
        chances = (self.edges[classes] > 0).to(torch.float32)
        return torch.multinomial(chances.cpu(), 1, generator=generator)[:, 0].to(classes.device)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"classes={len(self)}, k={self.k}, decay={self.decay}, e_min={self.e_min:.4f}"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        resize_to(self, state_dict, prefix, ("edges",))
        super()._load_from_state_dict(state_dict, prefix, *rest)
