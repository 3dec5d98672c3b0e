import copy

import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.nets.resnets.resnet18 import ResNet18
from spaceform.nets.taps import FeatureTaps


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Flatten())


def test_maps_are_those_inside_one_pass_in_the_order_asked():
    module, x = net(), torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    runs = []
    module[0].register_forward_hook(lambda *_: runs.append(1))
    taps = FeatureTaps(module, ["3", "0"])
    maps = taps(x)
    assert list(maps) == ["3", "0"]
    assert len(runs) == 1
    assert torch.equal(maps["0"], module[0](x))
    assert maps["3"].requires_grad


def test_hooks_are_gone_after_the_pass_even_a_failed_one():
    module = net()
    taps = FeatureTaps(module, ["0"])
    taps(torch.zeros(2, 3, 8, 8))
    with pytest.raises(RuntimeError):
        taps(torch.zeros(2, 9, 8, 8))
    assert not any(layer._forward_hooks for layer in module.modules())
    copied = copy.deepcopy(taps)
    assert torch.equal(copied.eval()(torch.ones(1, 3, 8, 8))["0"], taps.eval()(torch.ones(1, 3, 8, 8))["0"])


def test_channels_come_from_a_pass_that_changes_nothing():
    module = net()
    module[1].eval()
    before = copy.deepcopy(module.state_dict())
    assert FeatureTaps(module, ["0", "3"]).channels((3, 8, 8)) == [4, 5]
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in before.items())
    assert [layer.training for layer in module] == [True, False, True, True, True]


def test_unknown_layers_are_refused_with_near_names():
    with pytest.raises(InputError, match=r"'layer2.conv1', expected a layer, such as layer2\.\d\.conv1"):
        FeatureTaps(ResNet18(width=0.1), ["layer2.conv1"])
    for names in ([], ["0", "0"]):
        with pytest.raises(InputError, match="each once"):
            FeatureTaps(net(), names)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.idle = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.conv(self.conv(x))


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        (net(), "4", r"shape \(1, 80\), expected a layer of maps"),
        (Shared(), "conv", "ran 2 times"),
        (Shared(), "idle", "ran 0 times"),
        (nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(2), nn.LSTM(64, 5)), "2", "tuple"),
    ],
)
def test_outputs_that_are_no_single_map_are_refused(module, name, message):
    with pytest.raises(InputError, match=message):
        FeatureTaps(module, [name])(torch.zeros(1, 3, 8, 8))
