import pytest
import torch

from spaceform.errors import InputError
from spaceform.nets.resnets.resnet18 import ResNet18
from spaceform.nets.taps import FeatureTaps


def test_shapes_and_size_are_those_of_the_paper():
    net = ResNet18()
    assert sum(p.numel() for p in net.parameters()) == 11_689_512 - 513_000  # less the classifier of 1,000 classes
    taps = FeatureTaps(net.eval(), ["maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool"])
    with torch.inference_mode():
        maps = taps(torch.zeros(1, 3, 84, 84))
    sides = [(64, 21), (64, 21), (128, 11), (256, 6), (512, 3), (512, 1)]
    assert [tuple(one.shape) for one in maps.values()] == [(1, c, side, side) for c, side in sides]


def test_a_block_adds_what_goes_around_it():
    net = ResNet18(width=0.1).eval()
    block, x = net.layer1[0], torch.rand(2, 6, 5, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        block.bn2.weight.zero_()
    assert torch.equal(block(x), x)


def test_names_are_those_of_torchvision():
    names = list(ResNet18(width=0.1).state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv2.weight", "layer4.1.bn2.bias"} < set(names)
    assert {name for name in names if "downsample" in name and name.endswith("0.weight")} == {
        f"layer{stage}.0.downsample.0.weight" for stage in (2, 3, 4)
    }
    assert len(names) == 120  # torchvision's 122 less weight and bias of the classifier


def test_weights_of_another_are_taken_in_without_the_classifier():
    first, second = ResNet18(width=0.1), ResNet18(width=0.1)
    state = first.state_dict() | {"fc.weight": torch.zeros(10, 51), "fc.bias": torch.zeros(10)}
    old = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    second.load_weights(old)
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first.eval()(x), second.eval()(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {"conv1.weight": state["conv1.weight"]}, "no bn1.weight"),
        (lambda state: state | {"layer5.0.conv1.weight": torch.zeros(1)}, "layer5.0.conv1.weight, which is unknown"),
        (lambda state: state | {"conv1.weight": torch.zeros(6, 1, 7, 7)}, r"\(6, 1, 7, 7\) instead of \(6, 3, 7, 7\)"),
    ],
)
def test_weights_that_do_not_fit_are_named_and_not_loaded(change, message):
    net = ResNet18(width=0.1)
    before = net.conv1.weight.detach().clone()
    with pytest.raises(InputError, match=message):
        net.load_weights(change(ResNet18(width=0.1).state_dict()))
    assert torch.equal(net.conv1.weight, before)


@pytest.mark.parametrize("options", [{"channels": 0}, {"width": 0.0}])
def test_settings_are_checked(options):
    with pytest.raises(InputError, match=next(iter(options))):
        ResNet18(**options)
