import pytest
import torch

from spaceform.errors import InputError
from spaceform.nets.stages import StagedConvNet
from spaceform.nets.taps import FeatureTaps


@pytest.mark.parametrize(
    ("size", "sides"), [(28, [14, 7, 4, 2, 2]), (48, [24, 12, 6, 3, 3]), (2, [1] * 5), (8, [4, 2, 1, 1, 1])]
)
def test_stages_halve_the_side_but_for_the_last(size, sides):
    net = StagedConvNet(channels=1, size=size)
    maps = FeatureTaps(net, net.stages)(torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0)))
    assert [tuple(one.shape[1:]) for one in maps.values()] == [
        (wide, side, side) for wide, side in zip((32, 48, 64, 96, 96), sides, strict=True)
    ]


def test_the_answer_is_the_mean_of_the_last_map():
    net = StagedConvNet(size=8, widths=(4, 5)).eval()
    x = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net(x), FeatureTaps(net, ["stage2"])(x)["stage2"].mean((2, 3)))
    assert net.dim == 5


def test_pictures_of_one_pixel_meet_single_weights():
    net = StagedConvNet(channels=7, size=1, widths=(4, 6, 5))
    assert net.stage1[0].weight.shape == (4, 7, 1, 1)
    assert net(torch.randn(4, 7, 1, 1, generator=torch.Generator().manual_seed(0))).shape == (4, 5)


@pytest.mark.parametrize("options", [{"channels": 0}, {"size": 0}, {"widths": ()}, {"widths": (3, 0)}])
def test_settings_are_checked(options):
    with pytest.raises(InputError, match=next(iter(options))):
        StagedConvNet(**options)
