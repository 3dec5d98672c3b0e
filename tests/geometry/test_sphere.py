"""Angles at both ends of their range, antipodes, and means that do not exist."""

import numpy as np
import pytest
import torch

from spaceform.errors import InputError
from spaceform.geometry import Sphere
from spaceform.geometry.sphere import angle, any_tangent


@pytest.mark.parametrize("degrees", [0.0, 1e-7, 1e-3, 90.0, 179.99999, 180.0])
def test_angles_keep_their_digits(degrees):
    turn = np.deg2rad(degrees)
    a, b = np.array([[1.0, 0.0]]), np.array([[np.cos(turn), np.sin(turn)]])
    np.testing.assert_allclose(angle(a, b)[0, 0], turn, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_antipodes_have_a_shortest_arc(make):
    g, x = Sphere(), make(np.array([[0.6, 0.8, 0.0], [0.0, 0.0, -1.0]]))
    velocity = g.log(x, -x)
    np.testing.assert_allclose(np.asarray(g.length(x, velocity)), np.pi)
    np.testing.assert_allclose(np.asarray((x * velocity).sum(-1)), 0, atol=1e-12)
    np.testing.assert_allclose(np.asarray(g.exp(x, velocity)), -np.asarray(x), atol=1e-12)


def test_any_tangent_is_a_unit_tangent():
    x = Sphere().project(np.random.default_rng(0).normal(size=(20, 4)))
    t = any_tangent(x)
    np.testing.assert_allclose((t * x).sum(1), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(t, axis=1), 1)


def test_a_zero_row_is_projected_to_the_first_axis():
    np.testing.assert_array_equal(Sphere().project(np.array([[0.0, 0.0], [0.0, 2.0]])), [[1, 0], [0, 1]])


def test_points_that_balance_out_have_no_mean():
    with pytest.raises(InputError, match="balance out"):
        Sphere().mean(np.array([[1.0, 0.0], [-1.0, 0.0]]))


def test_mean_of_two_points_is_half_way():
    a, b = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    np.testing.assert_allclose(Sphere().mean(np.stack([a, b])), [0.5**0.5] * 2)
