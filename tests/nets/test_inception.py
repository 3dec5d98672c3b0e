"""NN1 to NN4: sizes of the maps and numbers of parameters as in the paper's tables."""

import pytest
import torch

from spaceform.errors import InputError
from spaceform.nets.inception import SIZES, TABLE_2, Inception, ZeilerFergus


def parameters(net):
    return sum(part.numel() for part in net.parameters())


def maps(net, size, channels=3):
    """Shapes of the maps behind every layer of the trunk, without computing them."""
    shapes = []
    for layer in net.trunk:
        layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    net(torch.empty(2, channels, size, size, device="meta"))
    return shapes


def test_nn1_has_140_million_parameters_and_the_maps_of_table_1():
    with torch.device("meta"):
        net = ZeilerFergus(batch_norm=False)
    assert parameters(net) == pytest.approx(140e6, rel=0.01)
    shapes = maps(net, SIZES["nn1"])
    assert shapes[0] == (64, 110, 110)
    assert shapes[1] == (64, 55, 55)
    assert shapes[6] == (192, 28, 28)
    assert shapes[9] == (384, 14, 14)
    assert shapes[16] == (256, 7, 7)
    assert shapes[-1] == (4096,)


def test_nn2_has_7_5_million_parameters_and_the_maps_of_table_2():
    with torch.device("meta"):
        net = Inception(name="nn2", batch_norm=False)
    assert parameters(net) == pytest.approx(7.5e6, rel=0.02)
    shapes = maps(net, SIZES["nn2"])
    assert shapes[0] == (64, 112, 112)
    assert shapes[6] == (192, 28, 28)
    assert [shape[0] for shape in shapes[7:17]] == [256, 320, 640, 640, 640, 640, 640, 1024, 1024, 1024]
    assert [shape[1] for shape in shapes[7:17]] == [28, 28, 14, 14, 14, 14, 14, 7, 7, 7]


def test_the_modules_of_nn2_have_the_parameters_of_table_2():
    """In thousands, as printed; 1.6 M is rounded there."""
    printed = [164, 228, 398, 545, 595, 654, 722, 717, 1600, 1600]
    with torch.device("meta"):
        net = Inception(name="nn2", batch_norm=False)
    found = [parameters(layer) / 1e3 for layer in net.trunk[7:17]]
    for ours, theirs in zip(found, printed, strict=True):
        assert ours == pytest.approx(theirs, rel=0.03)


def test_nn3_is_nn2_and_nn4_has_no_5x5_branch_at_the_end():
    with torch.device("meta"):
        nets = {name: Inception(name=name, batch_norm=False) for name in ("nn2", "nn3", "nn4")}
    assert parameters(nets["nn3"]) == parameters(nets["nn2"])
    assert maps(nets["nn3"], 160)[-3] == (1024, 5, 5)
    assert maps(nets["nn4"], 96)[-3] == (896, 3, 3)
    assert TABLE_2[0].channels == 256


@pytest.mark.parametrize("batch_norm", [False, True])
def test_small_pictures_pass_with_a_finite_gradient(batch_norm):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Inception(name="nn4", channels=1, dim=8, batch_norm=batch_norm)
        pictures = torch.rand(3, 1, 64, 64)
    net(pictures).sum().backward()
    assert all(torch.isfinite(part.grad).all() for part in net.parameters())
    flat = torch.zeros(2, 1, 64, 64)  # L2 pooling at 0 has no slope of its own
    net.zero_grad()
    net(flat).sum().backward()
    assert all(torch.isfinite(part.grad).all() for part in net.parameters())


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="name"):
        Inception(name="nn9")
    with pytest.raises(InputError, match="dim"):
        Inception(dim=0)
    with pytest.raises(InputError, match="size"):
        ZeilerFergus(size=32)
