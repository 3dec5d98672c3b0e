"""The small encoder: shapes, width, determinism of the start."""

import pytest
import torch

from spaceform.errors import InputError
from spaceform.nets.conv import ConvNet


@pytest.mark.parametrize("size", [16, 28, 33, 48, 96])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_any_size_become_vectors(size, channels):
    net = ConvNet(channels=channels, size=size, dim=24)
    out = net(torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(0)))
    assert out.shape == (2, 24)
    out.sum().backward()
    assert all(part.grad is not None for part in net.parameters())


def test_blocks_have_the_channels_of_the_recipe_and_width_scales_them():
    def widths(net):
        return [layer.out_channels for layer in net.trunk if isinstance(layer, torch.nn.Conv2d)]

    assert widths(ConvNet(size=28)) == [32, 64, 64, 128]
    assert widths(ConvNet(size=28, width=0.5)) == [16, 32, 32, 64]
    count = sum(part.numel() for part in ConvNet(channels=1, size=28).parameters())
    assert 250_000 < count < 350_000


@pytest.mark.parametrize(("name", "value"), [("size", 8), ("channels", 0), ("dim", 0), ("width", 0.0)])
def test_bad_settings_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        ConvNet(**{name: value})
