"""The ResNet-50 trunk: its size, and weights under torchvision's names."""

import pytest
import torch
from safetensors.torch import save_file

from spaceform.errors import InputError
from spaceform.nets.resnets.resnet50 import ResNet50Trunk, resnet50_trunk


def test_the_trunk_has_the_parameters_of_three_stages():
    trunk = ResNet50Trunk()
    # torchvision's resnet50: 25,557,032 in all, of which layer4 has 14,964,736 and fc 2,049,000
    assert sum(part.numel() for part in trunk.parameters()) == 25_557_032 - 14_964_736 - 2_049_000
    names = set(trunk.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.1.bias", "layer3.5.conv3.weight"} <= names
    assert trunk(torch.zeros(2, 3, 33, 33)).shape == (2, 1024, 3, 3)


def test_weights_of_a_whole_net_fit(tmp_path):
    trunk = ResNet50Trunk()
    state = {**trunk.state_dict(), "layer4.0.conv1.weight": torch.zeros(1), "fc.bias": torch.zeros(1)}
    save_file(state, tmp_path / "w.safetensors")
    loaded = resnet50_trunk(tmp_path / "w.safetensors").eval()
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded(picture), trunk.eval()(picture))


def test_files_that_are_no_weights_are_refused(tmp_path):
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "part.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    for name in ("part", "text", "none"):
        with pytest.raises(InputError, match="weights"):
            resnet50_trunk(tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match="pictures"):
        ResNet50Trunk()(torch.zeros(1, 1, 32, 32))
