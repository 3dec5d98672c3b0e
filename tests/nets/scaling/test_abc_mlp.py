"""The MLP under any scaling: twins related by the symmetry are one network, all the way through training."""

import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.nets.scaling.abc_mlp import ABCMLP
from spaceform.nets.scaling.exponents import ABC


def trained(abc, dtype, steps=20):
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(16, 8, generator=generator, dtype=dtype)
    y = torch.randn(16, 2, generator=generator, dtype=dtype)
    net = ABCMLP(8, 64, 2, abc=abc, phi="tanh", dtype=dtype, seed=1)
    optimizer = torch.optim.SGD(net.param_groups(0.3))
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(net(X), y).backward()
        optimizer.step()
    return net(X).detach()


@pytest.mark.parametrize("name", ["mup", "ntk", "standard-stable"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_a_shifted_twin_is_the_same_network_at_every_step(name, dtype, tolerance):
    scaling = ABC.named(name, 2)
    ours, twin = trained(scaling, dtype), trained(scaling.shift(0.3), dtype)
    torch.testing.assert_close(ours, twin, rtol=0, atol=tolerance)
    assert not torch.allclose(ours, trained(scaling, dtype, steps=0), atol=1e-3)


@pytest.mark.parametrize(("name", "width"), [("mup", 9), ("ntk", 16)])
def test_forward_is_the_formula(name, width):
    net = ABCMLP(3, width, 2, abc=name, depth=2, dtype=torch.float64)
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = [float(width) ** -a * w for a, w in zip(net.abc.a, net.weights, strict=True)]
    slow = torch.stack([weights[2] @ torch.relu(weights[1] @ torch.relu(weights[0] @ row)) for row in x])
    torch.testing.assert_close(net(x), slow)


def test_starts_have_the_variance_of_the_exponents():
    net = ABCMLP(50, 400, 50, abc="mup", depth=2, sigma=[2.0, 1.0, 0.0])
    assert net.weights[0].std().item() == pytest.approx(2 / 20, rel=0.03)
    assert net.weights[1].std().item() == pytest.approx(1 / 20, rel=0.03)
    assert not net.weights[2].any()
    assert net.param_groups(0.5)[0]["lr"] == 0.5
    assert ABCMLP(5, 100, 5, abc="standard-stable").param_groups(0.5)[0]["lr"] == pytest.approx(0.005)


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"width": 4, "phi": "gelu"}, {"width": 4, "sigma": [1.0]}, {"width": 4, "abc": "none"}]
)
def test_refused(options):
    with pytest.raises(InputError):
        ABCMLP(3, options.pop("width"), 2, **options)


def test_negative_rates_are_refused():
    with pytest.raises(InputError, match="learning_rate"):
        ABCMLP(3, 4, 2).param_groups(-0.1)
