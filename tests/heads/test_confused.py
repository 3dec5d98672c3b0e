"""Two outputs of one layer: equal values, and a confusion that can move nothing but the layer's weight."""

import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.heads.confused import ConfusedHead
from spaceform.losses.regularizers.energy_confusion import EnergyConfusion


def test_confusion_never_reaches_the_trunk_nor_the_bias():
    torch.manual_seed(0)
    trunk, head = nn.Sequential(nn.Linear(6, 5), nn.ReLU()), ConfusedHead(linear=nn.Linear(5, 4))
    X, y = torch.randn(8, 6), torch.arange(8) % 4
    embeddings, confused = head(trunk(X))
    assert torch.equal(embeddings, confused)
    EnergyConfusion()(confused, y).backward()
    assert all(value.grad is None for value in trunk.parameters())
    assert head.linear.bias.grad is None
    assert head.linear.weight.grad.abs().sum() > 0
    embeddings.sum().backward()
    assert all(value.grad is not None for value in [*trunk.parameters(), head.linear.bias])


def test_the_bias_would_learn_nothing_anyway():
    linear = nn.Linear(5, 4).double()
    X, y = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)).double(), torch.arange(8) % 4
    EnergyConfusion(scale_guard=0.0)(linear(X), y).backward()
    assert linear.bias.grad.abs().max() < 1e-12


def test_rows_start_at_unit_length_and_the_layer_is_shared():
    linear = nn.Linear(5, 4)
    kept = linear.weight.detach().clone()
    assert torch.equal(ConfusedHead(linear=linear, unit_rows=False).linear.weight, kept)
    head = ConfusedHead(linear=linear)
    assert head.linear is linear
    torch.testing.assert_close(linear.weight.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(linear.weight, kept / kept.norm(dim=1, keepdim=True))
    assert ConfusedHead(linear=nn.Linear(5, 4, bias=False))(torch.ones(2, 5))[1].shape == (2, 4)


def test_other_layers_are_refused():
    with pytest.raises(InputError, match="linear"):
        ConfusedHead(linear=nn.ReLU())
    empty = nn.Linear(3, 2)
    nn.init.zeros_(empty.weight)
    with pytest.raises(InputError, match="direction"):
        ConfusedHead(linear=empty)
