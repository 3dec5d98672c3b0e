"""Layers of perceptrons and their order."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.nets.mlp import mlp


def test_order_between_layers_is_activation_norm_dropout() -> None:
    net = mlp([8, 6, 4, 2], dropout=0.1)
    hidden = [nn.ReLU, nn.BatchNorm1d, nn.Dropout, nn.Linear]
    assert [type(layer) for layer in net] == [nn.Linear, *hidden, *hidden]
    assert [(layer.in_features, layer.out_features) for layer in net if isinstance(layer, nn.Linear)] == [
        (8, 6),
        (6, 4),
        (4, 2),
    ]
    assert [layer.num_features for layer in net if isinstance(layer, nn.BatchNorm1d)] == [6, 4]


def test_two_widths_are_one_linear_layer() -> None:
    net = mlp([3, 2], dropout=0.5)
    assert len(net) == 1
    torch.testing.assert_close(net(torch.eye(3)), net[0].weight.T + net[0].bias)


def test_other_parts() -> None:
    net = mlp([3, 4, 2], activation="gelu", norm="layer")
    assert [type(layer) for layer in net] == [nn.Linear, nn.GELU, nn.LayerNorm, nn.Linear]
    assert [type(layer) for layer in mlp([3, 4, 2], norm=None)] == [nn.Linear, nn.ReLU, nn.Linear]


@pytest.mark.parametrize(
    ("argument", "widths", "options"),
    [
        ("widths", [3], {}),
        ("widths", [3, 0], {}),
        ("activation", [3, 2], {"activation": "sin"}),
        ("norm", [3, 2], {"norm": "group"}),
        ("dropout", [3, 2], {"dropout": 1.5}),
    ],
)
def test_bad_input_is_refused(argument: str, widths: list[int], options: dict) -> None:
    with pytest.raises(InputError) as caught:
        mlp(widths, **options)
    assert caught.value.argument == argument
