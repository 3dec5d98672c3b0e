"""Into the ball and from ball to ball: hand values, limits, gradients at the boundary, and geoopt as a peer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.geometry import PoincareBall, poincare
from spaceform.heads.poincare import HypLinear, ToPoincare


def rows(seed, n=6, d=4, scale=1.0):
    return scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_largest_norms_are_those_of_the_published_constants():
    far = torch.tensor([[300.0, 400.0]])
    for c, r, norm in ((0.1, 2.0, 1.770), (0.05, 2.3, 2.117)):
        assert ToPoincare(curvature=c, clip_radius=r)(far).norm().item() == pytest.approx(norm, abs=1e-3)


def test_radii_of_mapped_rows_vary_unless_they_were_normalised_before():
    mapped = ToPoincare()(rows(0, 50)).norm(dim=1)
    assert mapped.std().item() > 0.1
    unit = torch.nn.functional.normalize(rows(0, 50), dim=1)
    assert ToPoincare()(unit).norm(dim=1).std().item() < 1e-9


def test_angles_stay_whatever_curvature_and_radius_are():
    z = rows(1)
    expected = torch.nn.functional.normalize(z, dim=1)
    for c, r in ((0.01, 1.0), (0.1, 2.3), (1.0, None), (None, 1.0)):
        mapped = torch.nn.functional.normalize(ToPoincare(curvature=c, clip_radius=r)(z), dim=1)
        torch.testing.assert_close(mapped, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_clipping_before_the_map_keeps_the_gradient_of_long_rows(dtype):
    def gradient(layer):
        z = (50 * torch.tensor([[0.6, 0.8]], dtype=dtype)).requires_grad_()
        anchor = torch.tensor([[0.5, 0.0]], dtype=dtype)
        PoincareBall(1.0).distance(layer(z), anchor).sum().backward()
        assert torch.isfinite(z.grad).all()
        return z.grad, z.detach()

    clipped, z = gradient(ToPoincare(curvature=1.0, clip_radius=1.0))
    # it is tangential: only the direction of a clipped row can be learned
    assert abs((clipped * z).sum().item()) < 1e-4 * clipped.norm().item() * z.norm().item()
    assert clipped.norm().item() > 1e-3

    # without clipping, tanh has nothing left to say about the length of such a row
    far = (12 * torch.tensor([[0.6, 0.8]], dtype=torch.float64)).requires_grad_()
    (plain,) = torch.autograd.grad(poincare.exp0(far, 1.0).norm(), far)
    assert plain.norm().item() < 1e-8


@given(seed=st.integers(0, 10**6), scale=st.floats(1e-8, 1e8), c=st.sampled_from([1e-6, 0.01, 0.1, 1.0, 10.0]))
@settings(max_examples=60, deadline=None)
def test_single_precision_stays_inside_finite_and_near_double(seed, scale, c):
    z = rows(seed, scale=scale)
    layer = ToPoincare(curvature=c, clip_radius=2.0)
    exact, single = layer(z), layer(z.float())
    assert PoincareBall(c).check(single) is None
    torch.testing.assert_close(single.double(), exact, rtol=1e-5, atol=1e-30)
    leaf = z.float().requires_grad_()
    points = layer(leaf)
    PoincareBall(c).pairwise_distance(points, torch.cat([points, points])).sum().backward()
    assert torch.isfinite(leaf.grad).all()


def test_identity_and_flat_limit_of_the_linear_layer():
    points = ToPoincare()(rows(2))
    layer = HypLinear(4, 4, curvature=0.1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.eye(4))
        layer.bias.zero_()
    torch.testing.assert_close(layer(points), points)
    flat = HypLinear(4, 3, curvature=1e-10).double()
    with torch.no_grad():
        torch.testing.assert_close(flat(points), points @ flat.weight.T + flat.bias, rtol=1e-6, atol=1e-8)


def test_logits_are_bounded_by_the_radius_and_zero_rows_are_no_trap():
    layer = HypLinear(4, 3, curvature=0.1, bias=False)
    with torch.no_grad():
        layer.weight.mul_(1e4)
    points = ToPoincare()(rows(3).float())
    assert layer(points).norm(dim=1).max().item() <= 0.1**-0.5
    zero = torch.zeros(1, 4, requires_grad=True)
    layer(zero).sum().backward()
    assert (layer(zero) == 0).all()
    assert torch.isfinite(zero.grad).all()
    assert torch.isfinite(layer.weight.grad).all()


def test_the_released_bias_is_added_with_curvature_one():
    points = ToPoincare()(rows(4))
    layer = HypLinear(4, 3, curvature=0.1, bias_curvature=1.0).double()
    with torch.no_grad():
        moved = poincare.mobius_matvec(layer.weight, points, 0.1)
        expected = poincare.mobius_add(moved, poincare.exp0(layer.bias, 1.0), 1.0)
        torch.testing.assert_close(layer(points), poincare.project(expected, 0.1, 1e-3))
        own = poincare.project(poincare.mobius_add(moved, poincare.exp0(layer.bias, 0.1), 0.1), 0.1, 1e-3)
    assert not torch.allclose(own, expected, atol=1e-4)


def test_refusals():
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="curvature"):
            ToPoincare(curvature=bad)
        with pytest.raises(InputError, match="clip_radius"):
            ToPoincare(clip_radius=bad)
    with pytest.raises(InputError, match="finite"):
        ToPoincare()(torch.tensor([[float("nan"), 0.0]]))
    with pytest.raises(InputError, match="finite floats"):
        ToPoincare()(torch.ones(2, 2, dtype=torch.int64))
    with pytest.raises(InputError, match="points"):
        HypLinear(2, 2, curvature=1.0)(torch.tensor([[1.0, 1.0]]))
    with pytest.raises(InputError, match="columns"):
        HypLinear(2, 2)(torch.zeros(1, 3))


def test_half_precision_is_lifted_to_single():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        points = ToPoincare()(torch.full((2, 3), 30.0, dtype=torch.bfloat16))
    assert points.dtype == torch.float32
    assert PoincareBall(0.1).check(points) is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_operations_equal_those_of_geoopt():
    geoopt = pytest.importorskip("geoopt")
    for c in (0.01, 0.1, 1.0):
        peer = geoopt.PoincareBall(torch.tensor(c, dtype=torch.float64))  # else its curvature is single precision
        a, b = (ToPoincare(curvature=c, clip_radius=2.0)(rows(seed)) for seed in (5, 6))
        M = rows(7, 3, 4)
        torch.testing.assert_close(PoincareBall(c).distance(a, b), peer.dist(a, b))
        pairs = peer.dist(a[:, None], b[None, :])
        torch.testing.assert_close(PoincareBall(c).pairwise_distance(a, b), pairs)
        torch.testing.assert_close(poincare.mobius_add(a, b, c), peer.mobius_add(a, b, project=False))
        torch.testing.assert_close(poincare.mobius_matvec(M, a, c), peer.mobius_matvec(M, a, project=False))
        torch.testing.assert_close(poincare.exp0(a, c), peer.expmap0(a, project=False))
        torch.testing.assert_close(poincare.log0(a, c), peer.logmap0(a))


def test_batched_distances_equal_the_slow_form():
    a = ToPoincare()(rows(8)).numpy()
    slow = [[float(poincare.distance(x, y, 0.1)[0]) for y in a] for x in a]
    np.testing.assert_allclose(PoincareBall(0.1).pairwise_distance(a, a), slow, atol=1e-6)
