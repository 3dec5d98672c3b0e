"""A drawn-anew head on a copied trunk."""

import pytest
import torch

from spaceform.errors import InputError
from spaceform.heads.compatible import compatible_head


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.head, self.dim = torch.nn.Linear(5, 4), torch.nn.Linear(4, 3), 3

    def forward(self, x):
        return self.head(self.trunk(x))


def test_the_trunk_is_copied_and_the_head_drawn_by_the_seed():
    old, state = Encoder(), torch.get_rng_state()
    first, again, other = (compatible_head(old, 7, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert first(torch.ones(2, 5)).shape == (2, 7)
    assert (first.dim, old.dim) == (7, 3)
    assert torch.equal(first.trunk.weight, old.trunk.weight)
    assert first.trunk.weight.data_ptr() != old.trunk.weight.data_ptr()
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_refusals():
    with pytest.raises(InputError, match="trunk"):
        compatible_head(torch.nn.Linear(2, 2), 3)
    with pytest.raises(InputError, match="dim"):
        compatible_head(Encoder(), 0)
