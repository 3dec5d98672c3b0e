"""Networks of the user's own by address: found, fitted in, and refused with what is wrong."""

import sys

import pytest
import torch

from spaceform.errors import InputError
from spaceform.nets.addressed import addressed_net, imported_maker, is_address
from spaceform.nets.named import named_net


def test_addresses_are_told_from_names():
    assert is_address("my_nets:make")
    assert is_address("a.b.c:make")
    for name in ("conv:0.5", "conv", "a/b:c", ":make", "a:", "transformers:/folder"):
        assert not is_address(name)


def test_a_network_is_made_for_shape_and_dimensions_by_the_seed():
    address = "oracles.plain_net:plain_net"
    assert named_net(address, (7,), 3, seed=0)(torch.zeros(5, 7)).shape == (5, 3)
    pictures = named_net(address, (8, 8, 3), 4, seed=1)
    assert pictures.training
    assert pictures(torch.zeros(5, 3, 8, 8)).shape == (5, 4)
    assert torch.equal(pictures[1].weight, named_net(address, (8, 8, 3), 4, seed=1)[1].weight)
    assert not torch.equal(pictures[1].weight, named_net(address, (8, 8, 3), 4, seed=2)[1].weight)


def test_a_module_of_the_working_directory_is_found(tmp_path, monkeypatch):
    (tmp_path / "nets_of_mine.py").write_text(
        "from torch import nn\ndef make(shape, dim):\n    return nn.Sequential(nn.Flatten(), nn.LazyLinear(dim))\n"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert addressed_net("nets_of_mine:make", (4, 4, 3), 2)(torch.zeros(2, 3, 4, 4)).shape == (2, 2)
    assert sys.path == before


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("no_such_package.module:make", "No module named"),
        ("oracles.plain_net:gone", "no attribute 'gone'"),
        ("oracles.plain_net:wrong_width", r"gives shape \(2, 5\), expected .*to \(2, 4\)"),
        ("oracles.plain_net:no_net", "returned str"),
        ("oracles.plain_net:broken", "fails"),
        ("oracles.plain_net:__doc__", "a str"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(address, message):
    with pytest.raises(InputError, match=message) as refused:
        addressed_net(address, (7,), 4)
    assert "\n" not in str(refused.value)


def test_importing_alone_calls_nothing():
    assert imported_maker("oracles.plain_net:broken").__name__ == "broken"
