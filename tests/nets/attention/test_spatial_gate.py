"""The gate: what it multiplies, and a backbone of any map size whose batch norm can stay as it came."""

import pytest
import torch
from torch import nn

from spaceform.errors import InputError
from spaceform.nets.attention.spatial_gate import GatedBackbone, SpatialGate


def backbone(**options):
    trunk = nn.Sequential(nn.Conv2d(1, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU())
    return GatedBackbone(trunk, SpatialGate(32), **{"dropout": 0.0, **options})


def pictures(size=10, n=3):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(0))


def test_every_place_is_multiplied_by_its_attention():
    features = torch.randn(2, 32, 5, 4, generator=torch.Generator().manual_seed(0))
    gate = SpatialGate(32)
    attention, gated = (part.detach() for part in gate(features))
    assert attention.shape == (2, 1, 5, 4)
    assert 0 < float(attention.min()) < float(attention.max()) < 1
    for place in [(0, 0), (4, 3), (2, 1)]:
        expected = features[:, :, *place] * attention[:, :, *place]
        torch.testing.assert_close(gated[:, :, *place], expected)
    shapes = [tuple(layer.weight.shape[:2]) for layer in gate.layers if isinstance(layer, nn.Conv2d)]
    assert shapes == [(4, 32), (1, 4), (1, 1)]
    assert [tuple(layer.weight.shape[:2]) for layer in SpatialGate(1024).layers[::2]] == [
        (128, 1024),
        (32, 128),
        (1, 32),
    ]


@pytest.mark.parametrize("size", [8, 10, 21])
def test_features_are_means_over_gated_places_of_any_map(size):
    net = backbone().eval()
    u, attention = net(pictures(size)), net.attention(pictures(size))
    side = (size + 1) // 2
    assert attention.shape == (3, 1, side, side)
    torch.testing.assert_close(u, (net.trunk(pictures(size)) * attention).mean((2, 3)))
    assert net.activity(pictures(size)).shape == (3, 1, side, side)
    assert (net.activity(pictures(size)) >= 0).all()


def test_without_a_gate_all_places_count_alike():
    net = GatedBackbone(nn.Conv2d(1, 4, 3), None).eval()
    assert (net.attention(pictures()) == 1).all()
    torch.testing.assert_close(net(pictures()), net.trunk(pictures()).mean((2, 3)))


def test_frozen_norms_keep_their_statistics_and_learn_their_weights():
    for frozen in (True, False):
        net = backbone(freeze_norms=frozen).train()
        norm = net.trunk[1]
        before = norm.running_mean.clone()
        net(pictures()).sum().backward()
        assert norm.training is not frozen
        assert net.training
        assert torch.equal(norm.running_mean, before) is frozen
        assert norm.weight.grad.abs().sum() > 0


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"pictures: got shape \(2, 3, 8, 8\), expected \(B, 1, h, w\)"):
        backbone()(torch.zeros(2, 3, 8, 8))
    with pytest.raises(InputError, match="channels"):
        SpatialGate(16)
