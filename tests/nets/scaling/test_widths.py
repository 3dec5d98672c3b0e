"""Any network in a scaling relative to its base width: nothing changes there, and the rules hold beyond."""

import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.nets.mlp import mlp
from spaceform.nets.scaling.widths import SCALINGS, WidthScaling


def net(width, seed=0, depth=2):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return mlp([6, *[width] * depth, 3], norm=None)


def trained(model, groups, steps=5):
    generator = torch.Generator().manual_seed(1)
    X, y = torch.randn(32, 6, generator=generator), torch.randint(3, (32,), generator=generator)
    optimizer = torch.optim.SGD(groups)
    hidden = model[2](torch.relu(model[0](X))).detach()
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X), y).backward()
        optimizer.step()
    moved = (model[2](torch.relu(model[0](X))).detach() - hidden).square().mean().sqrt()
    return model(X).detach(), moved.item()


@pytest.mark.parametrize("scaling", [name for name in SCALINGS if name != "mean-field"])
def test_at_base_width_nothing_changes(scaling):
    plain, scaled = net(16), net(16)
    groups = WidthScaling(scaled, net(16, seed=5), scaling=scaling).param_groups(0.1)
    assert [group["lr"] for group in groups] == [0.1]
    expected, _ = trained(plain, [{"params": list(plain.parameters()), "lr": 0.1}])
    torch.testing.assert_close(trained(scaled, groups)[0], expected)


def test_the_table_of_mup():
    scaling = WidthScaling(net(64), net(16))
    found = {role.name: (role.role, role.multiplier, role.start, role.rate) for role in scaling.roles}
    assert found == {
        "0.weight": ("input", 1, 1, 4),
        "0.bias": ("input", 1, 1, 4),
        "2.weight": ("hidden", 1, 0.5, 1),
        "2.bias": ("input", 1, 1, 4),
        "4.weight": ("output", 0.25, 1, 4),
        "4.bias": ("fixed", 1, 1, 1),
    }
    adam = {group["lr"]: len(group["params"]) for group in scaling.param_groups(1.0, optimizer="adam")}
    assert adam == {1.0: 5, 0.25: 1}


def test_starts_keep_the_scale_of_the_base():
    base, wide = net(16), net(256)
    WidthScaling(wide, base)
    assert wide[4].weight.std().item() == pytest.approx(base[4].weight.std().item(), rel=0.3)
    assert wide[2].weight.std().item() == pytest.approx(base[2].weight.std().item() / 4, rel=0.2)
    assert wide[4].bias.abs().max() <= 16**-0.5  # torch drew it by fan-in of 256
    assert wide[4].bias.abs().max() > 256**-0.5


@pytest.mark.parametrize(("scaling", "low", "high"), [("mup", -0.2, 0.2), ("ntk", -0.8, -0.25), ("standard", 0.2, 1.0)])
def test_features_move_as_the_scaling_says(scaling, low, high):
    moves = []
    for width in (32, 512):
        runs = []
        for seed in range(3):
            model = net(width, seed)
            runs.append(trained(model, WidthScaling(model, net(32), scaling=scaling).param_groups(0.02), steps=3)[1])
        moves.append(sum(runs) / 3)
    slope = torch.log2(torch.tensor(moves[1] / moves[0])).item() / 4
    assert low <= slope <= high, slope


def test_mean_field_is_mup_for_one_hidden_layer():
    outputs = []
    for scaling in ("mup", "mean-field"):
        model = mlp([6, 64, 3], norm=None)
        model.load_state_dict(net(64, depth=1).state_dict())
        groups = WidthScaling(model, net(16, depth=1), scaling=scaling).param_groups(0.1)
        optimizer = torch.optim.SGD(groups)
        X = torch.ones(4, 6)
        for _ in range(3):
            optimizer.zero_grad()
            model(X).square().sum().backward()
            optimizer.step()
        outputs.append(model(X).detach())
    torch.testing.assert_close(*outputs)


def test_convolutions_and_gains():
    def picture_net(width):
        return nn.Sequential(
            nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3), nn.Flatten()
        )

    wide = picture_net(32)
    roles = {role.name: role.role for role in WidthScaling(wide, picture_net(8)).roles}
    assert roles["1.weight"] == "input"
    assert roles["3.weight"] == "hidden"
    torch.testing.assert_close(wide[1].weight.detach(), torch.ones(32))


class Tied(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(3, width))


@pytest.mark.parametrize(
    "make",
    [
        lambda: WidthScaling(net(16), net(16, depth=1)),
        lambda: WidthScaling(net(16), net(8), scaling="sp"),
        lambda: WidthScaling(net(16), net(8), scaling="mean-field"),
        lambda: WidthScaling(Tied(8), Tied(4)),
        lambda: WidthScaling(net(16), net(8), scaling="ntk").param_groups(0.1, optimizer="adam"),
        lambda: WidthScaling(net(16), net(8)).param_groups(-1.0),
    ],
)
def test_refused(make):
    with pytest.raises(InputError):
        make()


def test_rates_are_those_of_the_authors_package():
    mup = pytest.importorskip("mup")

    def theirs(width):
        return nn.Sequential(
            nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), mup.MuReadout(width, 3)
        )

    model = theirs(64)
    mup.set_base_shapes(model, theirs(16), delta=theirs(32))
    rates = {}
    for group in mup.MuSGD(model.parameters(), lr=1.0).param_groups:
        rates |= {id(value): group["lr"] for value in group["params"]}
    scaling = WidthScaling(net(64), net(16))
    assert {r.name: r.rate for r in scaling.roles} == {n: rates[id(v)] for n, v in model.named_parameters()}
