"""What only the Poincare ball does: its mean on a geodesic, and trees that fit."""

import numpy as np
import pytest

from spaceform.geometry import PoincareBall


def test_radius():
    assert PoincareBall(0.25).radius == 2


@pytest.mark.parametrize("c", [0.05, 1.0])
def test_mean_of_two_points_divides_their_geodesic(c):
    ball = PoincareBall(c)
    x, y = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4)) * ball.radius
    expected = ball.exp(x, 0.25 * ball.log(x, y))
    np.testing.assert_allclose(ball.mean(np.stack([x, y]), np.array([3.0, 1.0])), expected, atol=1e-9)


def test_mean_of_points_near_the_boundary_converges():
    ball = PoincareBall()
    angles = np.linspace(0, 2 * np.pi, 5, endpoint=False)
    ring = (1 - 1e-5) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(ball.mean(ring), 0, atol=1e-6)


def test_steepness_is_that_of_half_the_squared_distance_across():
    ball, z = PoincareBall(4.0), np.array([0.0, 1.0])
    assert ball.steepness(z) == pytest.approx([1.0, 2 / np.tanh(2)])
