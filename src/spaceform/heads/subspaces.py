"""A linear embedding in slices: each slice is a learner of its own, and the last one can be split."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, final

import torch
from torch import nn
from torch.nn.functional import normalize

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.rng import torch_generator


class Split(NamedTuple):
    """What a split did: row ``i`` of the weights was row ``order[i]`` before; the rows ``fresh`` were drawn anew."""

    order: torch.Tensor
    fresh: range


@final
class SubspaceEmbedding(nn.Module):
    """Linear layer whose outputs lie in contiguous slices, each of unit length: ``a_s = (W u + b)_s / |(W u + b)_s|``.

    Dynamic subspace learners (Adiga V, Dolz, Lombaert, JBHI 2022), after the divided embeddings of Sanakoyeu and others
    (CVPR 2019). With k slices a row has squared length k, and the squared distance of two rows is
    ``2 k - 2 sum_s cos_s``: Euclidean neighbours are those with the largest sum of cosines over the slices.

    Parameters: ``in_features`` width P of the features; ``dim`` of the embedding; ``n_slices`` of about equal size to
    begin with; ``seed`` of the weights, drawn per slice (Xavier normal, gain 1; biases uniform in +-1/sqrt(P)).

    The slices are part of the ``state_dict``, so a loaded copy has those of the saved one. A slice that is exactly 0
    stays 0. Raises ``InputError`` for more slices than dimensions and for features of another width. O(B P dim).

    >>> head = SubspaceEmbedding(3, 6, n_slices=2)
    >>> head.slices
    [range(0, 3), range(3, 6)]
    >>> head.split_last(torch.tensor([5]), torch.Generator().manual_seed(0)).order
    tensor([0, 1, 2, 5, 3, 4])
    >>> head.slices
    [range(0, 3), range(3, 4), range(4, 6)]
    """

    first: torch.Tensor

    def __init__(self, in_features: int, dim: int, *, n_slices: int = 1, seed: int = 0) -> None:
        super().__init__()
        self.in_features = check_integer(in_features, "in_features", low=1)
        self.dim = check_integer(dim, "dim", low=1)
        check_integer(n_slices, "n_slices", low=1, high=dim)
        self.weight = nn.Parameter(torch.empty(dim, in_features))
        self.bias = nn.Parameter(torch.empty(dim))
        starts = [part * dim // n_slices for part in range(n_slices)]
        first = torch.zeros(dim, dtype=torch.bool)
        first[starts] = True
        self.register_buffer("first", first)
        generator = torch_generator(check_integer(seed, "seed", low=0))
        for part in self.slices:
            self._draw(part, generator)

    @property
    def slices(self) -> list[range]:
        """The slices: contiguous, disjoint, and together all dimensions."""
        starts = self.first.nonzero()[:, 0].tolist()
        return [range(start, stop) for start, stop in pairwise([*starts, self.dim])]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return embeddings ``(B, dim)`` of features ``(B, P)``, every slice of unit length."""
        if features.ndim != 2 or features.shape[1] != self.in_features:
            raise InputError("features", got=f"shape {tuple(features.shape)}", expected=f"(B, {self.in_features})")
        raw = nn.functional.linear(features, self.weight, self.bias)
        parts = [normalize(raw[:, part.start : part.stop], dim=1) for part in self.slices]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    @torch.no_grad()
    def split_last(self, keep: torch.Tensor, generator: torch.Generator) -> Split:
        """Split the last slice: neurons ``keep`` (j,) stay as they are and come first, the others are drawn anew.

        ``keep`` are distinct dimensions of the last slice, some but not all; they keep their order. All rows are read
        before any is written. Raises ``InputError`` for other dimensions. O(P dim).
        """
        last = self.slices[-1]
        chosen = sorted(keep.tolist())
        if not set(chosen) <= set(last) or len(set(chosen)) < len(chosen) or not 0 < len(chosen) < len(last):
            raise InputError("keep", got=chosen, expected=f"some distinct dimensions of {last}, not all")
        rest = [neuron for neuron in last if neuron not in set(chosen)]
        order = torch.tensor([*range(last.start), *chosen, *rest])
        self.weight.copy_(self.weight[order.to(self.weight.device)])
        self.bias.copy_(self.bias[order.to(self.bias.device)])
        fresh = range(last.start + len(chosen), last.stop)
        self.first[fresh.start] = True
        self._draw(fresh, generator)
        return Split(order, fresh)

    @torch.no_grad()
    def _draw(self, part: range, generator: torch.Generator) -> None:
        """Draw the rows of a slice as the weights of a layer of its own."""
        deviation = (2 / (self.in_features + len(part))) ** 0.5
        weights = torch.randn(len(part), self.in_features, generator=generator) * deviation
        biases = (2 * torch.rand(len(part), generator=generator) - 1) / self.in_features**0.5
        self.weight[part.start : part.stop] = weights.to(self.weight)
        self.bias[part.start : part.stop] = biases.to(self.bias)

    def extra_repr(self) -> str:
        """Return the sizes, for ``repr``."""
        return f"{self.in_features} features, slices of {[len(part) for part in self.slices]}"
