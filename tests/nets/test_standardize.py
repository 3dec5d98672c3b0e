"""Units of the first rows, kept."""

import pytest
import torch

from spaceform.errors import InputError
from spaceform.nets.standardize import Standardize


def test_columns_have_mean_0_and_variance_1_and_constants_are_0():
    rows = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 7 + 100
    rows[:, 2] = 0.1
    layer, other = Standardize(3), Standardize(3)
    assert torch.equal(layer(rows), rows)
    layer.learn(rows)
    made = layer(rows)
    torch.testing.assert_close(made.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(made.std(0, correction=0), torch.tensor([1.0, 1, 0]), atol=1e-4, rtol=0)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(rows), made)
    with pytest.raises(InputError, match="rows"):
        layer.learn(torch.ones(2, 4))


def test_constant_columns_are_exactly_0():
    rows = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)) * 3 + 5
    rows[:, 2] = 7.0
    made = Standardize(3).learn(rows)(rows)
    torch.testing.assert_close(made.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(made[:, :2].std(0, correction=0), torch.ones(2))
    assert (made[:, 2] == 0).all()
