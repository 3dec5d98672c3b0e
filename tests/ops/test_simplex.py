"""Projection onto the simplex: its defining inequality, and the fixed points."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spaceform.ops.simplex import project_simplex

rows = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.floats(-10, 10))


@given(rows)
@settings(max_examples=60, deadline=None)
def test_the_result_is_the_nearest_point_of_the_simplex(V):
    P = project_simplex(V)
    assert (P >= 0).all()
    np.testing.assert_allclose(P.sum(axis=1), 1)
    # optimal iff every corner e lies behind it: (v - p).(e - p) <= 0
    behind = (V - P) - ((V - P) * P).sum(axis=1, keepdims=True)
    assert behind.max() <= 1e-9
    np.testing.assert_allclose(project_simplex(torch.from_numpy(V)).numpy(), P, atol=1e-12)


def test_points_of_the_simplex_stay():
    P = np.random.default_rng(0).dirichlet(np.ones(5), size=4)
    np.testing.assert_allclose(project_simplex(P), P, atol=1e-12)


def test_hand_values():
    V = np.array([[3.0, 0.0], [0.4, 0.4], [0.5, -1.0]])
    np.testing.assert_allclose(project_simplex(V), [[1, 0], [0.5, 0.5], [1, 0]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_is_kept_and_gradients_exist(dtype):
    V = torch.tensor([[0.2, 0.1, -3.0]], dtype=dtype, requires_grad=True)
    P = project_simplex(V)
    assert P.dtype == dtype
    (gradient,) = torch.autograd.grad(P[0, 0], V)
    torch.testing.assert_close(gradient, torch.tensor([[0.5, -0.5, 0.0]], dtype=dtype))
