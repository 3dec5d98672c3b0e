"""The cut of a network: both halves are the whole, and the head is not linear."""

import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.nets.halves import halves
from spaceform.nets.mlp import mlp
from spaceform.nets.named import named_net

NETS = {
    "conv": (named_net("conv:0.25", (28, 28, 1), 8, seed=0), (3, 1, 28, 28)),
    "nn4": (named_net("nn4", (32, 32, 3), 8, seed=0), (3, 3, 32, 32)),
    "mlp": (named_net("mlp", (6,), 8, seed=0), (3, 6)),
    "deep": (nn.Sequential(nn.Linear(6, 9), nn.Sequential(nn.ReLU(), nn.Linear(9, 9), nn.Tanh())), (3, 6)),
}


@pytest.mark.parametrize("name", NETS)
def test_the_halves_are_the_whole_with_shared_weights(name):
    net, shape = NETS[name]
    net.eval()
    inputs = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    trunk, head = halves(net)
    torch.testing.assert_close(head(trunk(inputs)), net(inputs))
    shared = {id(one) for one in net.parameters()}
    assert {id(one) for half in (trunk, head) for one in half.parameters()} == shared
    features = trunk(inputs)
    mixed = head((features[:1] + features[1:2]) / 2)
    assert (mixed - (head(features)[:1] + head(features)[1:2]) / 2).abs().max() > 1e-6


def test_the_cut_comes_after_the_last_map():
    trunk, head = halves(NETS["conv"][0])
    assert isinstance(trunk[-1], nn.Conv2d)
    assert not any(isinstance(layer, nn.Conv2d) for layer in head)
    trunk, head = halves(mlp((6, 9, 9, 3)))
    assert [type(layer) for layer in head] == [nn.ReLU, nn.BatchNorm1d, nn.Linear]


@pytest.mark.parametrize("net", [nn.Linear(3, 2), nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)), nn.Sequential()])
def test_a_network_without_a_bend_is_refused(net):
    with pytest.raises(InputError, match="mix inputs or embeddings"):
        halves(net)
