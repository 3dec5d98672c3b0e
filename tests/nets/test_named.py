"""Networks by name."""

import pytest
import torch

from spaceform.errors import InputError
from spaceform.nets.conv import ConvNet
from spaceform.nets.inception import Inception, ZeilerFergus
from spaceform.nets.named import is_net_name, named_net


def test_names_give_networks_that_fit_the_shape():
    assert isinstance(named_net("auto", (16, 16, 3), 4, seed=0), ConvNet)
    assert named_net("auto", (7,), 4, seed=0)(torch.zeros(3, 7)).shape == (3, 4)
    assert named_net("conv:0.5", (28, 28, 1), 4, seed=0).trunk[0].out_channels == 16
    assert isinstance(named_net("nn4", (96, 96, 3), 4, seed=0), Inception)
    with torch.device("meta"):
        assert isinstance(named_net("nn1:plain", (64, 64, 3), 4, seed=0), ZeilerFergus)


def test_plain_networks_have_no_batch_norm():
    def norms(name):
        net = named_net(name, (96, 96, 3), 4, seed=0)
        return sum(isinstance(part, torch.nn.BatchNorm2d) for part in net.modules())

    assert norms("nn4:plain") == 0 < norms("nn4")


def test_the_seed_draws_the_weights_and_nothing_else():
    state = torch.get_rng_state()
    weights = [named_net("auto", (5,), 3, seed=seed)[0].weight for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["vgg", "conv:wide", "conv:0", "nn2:deep", "nn5", "mlp", ""])
def test_unknown_names_are_refused(name):
    with pytest.raises(InputError):
        named_net(name, (32, 32, 3), 4, seed=0)


def test_vectors_take_no_convolutions():
    with pytest.raises(InputError, match="vectors"):
        named_net("conv", (5,), 4, seed=0)
    with pytest.raises(InputError, match="net"):
        named_net("mlp:3", (5,), 4, seed=0)


@pytest.mark.parametrize(("name", "known"), [("auto", True), ("a.b:c", True), ("stages:0.1", False)])
def test_names_are_known_by_their_kind(name, known):
    assert is_net_name(name) is known
