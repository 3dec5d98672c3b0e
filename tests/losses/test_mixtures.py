"""Draws of shares, and mixtures by coordinates against those by products."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spaceform.errors import InputError
from spaceform.geometry import Euclidean, PoincareBall, Sphere
from spaceform.losses.mixing.mixtures import mix_features, mix_points, mixed_dots, mixed_squares, sample_beta


def rows(seed, n=3, width=4):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0, 8.0])
def test_draws_follow_the_distribution_and_the_generator(alpha):
    draws = sample_beta(alpha, (4000,), torch.Generator().manual_seed(1))
    assert stats.kstest(draws.numpy(), stats.beta(alpha, alpha).cdf).pvalue > 0.01
    assert torch.equal(draws, sample_beta(alpha, (4000,), torch.Generator().manual_seed(1)))
    assert sample_beta(alpha, ()).shape == ()


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.nan])
def test_alpha_is_positive(alpha):
    with pytest.raises(InputError, match="alpha"):
        sample_beta(alpha, (2,))


def test_features_of_any_shape_are_mixed_row_by_row():
    maps = torch.arange(24.0).reshape(3, 2, 2, 2)
    first, second = torch.tensor([0, 2]), torch.tensor([1, 0])
    mixed = mix_features(maps, first, second, torch.tensor([0.25, 1.0]))
    torch.testing.assert_close(mixed[0], 0.25 * maps[0] + 0.75 * maps[1])
    torch.testing.assert_close(mixed[1], maps[2])
    assert mix_features(maps, first, second, torch.tensor(0.5)).shape == (2, 2, 2, 2)


@given(st.floats(0, 1), st.integers(0, 50))
def test_products_and_distances_are_those_of_the_mixed_point(share, seed):
    a, p, n = rows(seed)
    mixed = share * p + (1 - share) * n
    weight = torch.tensor(share, dtype=torch.float64)
    dots, _ = mixed_dots(a @ p, a @ n, p @ n, weight, unit=False)
    torch.testing.assert_close(dots, a @ mixed)
    squares = mixed_squares(((a - p) ** 2).sum(), ((a - n) ** 2).sum(), ((p - n) ** 2).sum(), weight)
    torch.testing.assert_close(squares, ((a - mixed) ** 2).sum(), atol=1e-9, rtol=1e-6)
    a, p, n = (one / one.norm() for one in (a, p, n))
    mixed = share * p + (1 - share) * n
    if mixed.norm() > 1e-2:
        dots, directed = mixed_dots(a @ p, a @ n, p @ n, weight, unit=True)
        torch.testing.assert_close(dots, a @ mixed / mixed.norm(), atol=1e-6, rtol=0)
        assert directed


@pytest.mark.parametrize("geometry", [Euclidean(), Sphere(), PoincareBall(), PoincareBall(0.5)], ids=str)
@given(st.floats(0, 1), st.integers(0, 50))
def test_a_mixture_divides_the_geodesic(geometry, share, seed):
    points = rows(seed, 2)
    points = points / (points.norm(dim=1, keepdim=True) * (1 if isinstance(geometry, Sphere) else 2))
    p, n = points
    mixed = mix_points(geometry, p[None], n[None], torch.tensor([share], dtype=torch.float64))[0]
    whole = geometry.distance(p, n)
    torch.testing.assert_close(geometry.distance(p, mixed), (1 - share) * whole, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(geometry.distance(mixed, n), share * whole, atol=1e-6, rtol=1e-5)
