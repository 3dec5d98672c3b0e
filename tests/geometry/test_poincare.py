"""The ball's formulas against closed forms, limits and arithmetic of 60 digits."""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.geometry import PoincareBall, poincare


def test_hand_value():
    a, b = np.array([0.5, 0.0]), np.array([-0.5, 0.0])
    assert poincare.distance(a, b, 1.0)[0] == pytest.approx(4 * np.arctanh(0.5))
    assert poincare.distance(a, b, 1.0)[0] == pytest.approx(2.19722, abs=1e-5)


def high_precision_distance(a, b, c):
    with mpmath.workdps(60):
        a, b, c = [mpmath.mpf(float(v)) for v in a], [mpmath.mpf(float(v)) for v in b], mpmath.mpf(c)
        ab = sum(p * q for p, q in zip(a, b, strict=True))
        aa, bb = sum(p * p for p in a), sum(q * q for q in b)
        difference = sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
        moved = mpmath.sqrt(difference / (1 - 2 * c * ab + c * c * aa * bb))
        return float(2 / mpmath.sqrt(c) * mpmath.atanh(mpmath.sqrt(c) * moved))


@given(seed=st.integers(0, 10**6), c=st.sampled_from([0.01, 0.1, 1.0, 5.0]), edge=st.floats(0, 6))
@settings(max_examples=60, deadline=None)
def test_distance_has_twelve_digits_up_to_the_boundary(seed, c, edge):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 4))
    a *= (1 - 10**-edge) / np.linalg.norm(a) / c**0.5
    b *= rng.uniform() / np.linalg.norm(b) / c**0.5
    expected = high_precision_distance(a, b, c)
    lost = 10 ** max(0.0, edge)  # the distance from the boundary itself has lost these digits in the input
    assert poincare.distance(a, b, c)[0] == pytest.approx(expected, rel=1e-14 * lost + 1e-12)


def test_flat_limit_is_twice_the_euclidean_distance():
    a, b = np.random.default_rng(0).normal(size=(2, 5))
    for c in (1e-4, 1e-8, 1e-12):
        assert poincare.distance(a, b, c)[0] / (2 * np.linalg.norm(a - b)) == pytest.approx(1, abs=30 * c)
    with pytest.raises(InputError, match="Euclidean"):
        PoincareBall(0.0)
    with pytest.raises(InputError, match="curvature"):
        PoincareBall(-1.0)


@given(seed=st.integers(0, 10**6), c=st.sampled_from([0.1, 1.0]))
@settings(max_examples=40, deadline=None)
def test_mobius_addition_is_an_isometry_with_identity_and_inverse(seed, c):
    rng = np.random.default_rng(seed)
    x, a, b = (rng.uniform(-0.5, 0.5, 3) / c**0.5 for _ in range(3))
    moved = poincare.distance(poincare.mobius_add(x, a, c), poincare.mobius_add(x, b, c), c)
    np.testing.assert_allclose(moved, poincare.distance(a, b, c), rtol=1e-9)
    np.testing.assert_allclose(poincare.mobius_add(0 * a, a, c), a, rtol=1e-12)
    np.testing.assert_allclose(poincare.mobius_add(-a, a, c), 0 * a, atol=1e-12)
    np.testing.assert_allclose(poincare.mobius_add(-a, poincare.mobius_add(a, b, c), c), b, atol=1e-9)


def test_exponential_map_at_the_origin():
    c, v = 0.1, np.array([[3.0, 4.0], [0.0, 0.0], [1e-12, 0.0]])
    expected = np.tanh(c**0.5 * 5) * np.array([0.6, 0.8]) / c**0.5
    np.testing.assert_allclose(poincare.exp0(v, c)[0], expected)
    np.testing.assert_allclose(poincare.exp0(v, c)[1:], v[1:], rtol=1e-9)
    np.testing.assert_allclose(poincare.log0(poincare.exp0(v, c), c), v, rtol=1e-9)
    np.testing.assert_allclose(poincare.exp(0 * v, v, c), poincare.exp0(v, c), rtol=1e-12)
    # clipped features: c = 0.1 and r = 2 reach 1.770 of a radius of 3.162
    assert np.linalg.norm(poincare.exp0(poincare.clip_norm(v, 2.0), c)[0]) == pytest.approx(1.7704, abs=1e-3)


def test_exponential_map_of_a_huge_vector_stays_finite():
    for dtype in (torch.float32, torch.float64):
        v = torch.tensor([[1e6, 0.0], [0.0, 50.0]], dtype=dtype, requires_grad=True)
        reached = poincare.project(poincare.exp0(v, 1.0), 1.0)
        assert PoincareBall(1.0).check(reached) is None
        (gradient,) = torch.autograd.grad(reached.sum(), v)
        assert torch.isfinite(gradient).all()


def test_matrix_product():
    c, x = 0.3, np.random.default_rng(1).uniform(-0.5, 0.5, (4, 3))
    M = np.random.default_rng(2).normal(size=(2, 3))
    np.testing.assert_allclose(poincare.mobius_matvec(np.eye(3), x, c), x, rtol=1e-12)
    Mx = x @ M.T
    size, moved = np.linalg.norm(x, axis=1, keepdims=True), np.linalg.norm(Mx, axis=1, keepdims=True)
    closed = np.tanh(moved / size * np.arctanh(c**0.5 * size)) * Mx / moved / c**0.5
    np.testing.assert_allclose(poincare.mobius_matvec(M, x, c), closed, rtol=1e-10)
    np.testing.assert_allclose(poincare.mobius_matvec(M, x, 1e-12), Mx, rtol=1e-9)
    assert (poincare.mobius_matvec(np.zeros((2, 3)), x, c) == 0).all()


def test_clipping_leaves_a_tangential_gradient():
    z = torch.tensor([[30.0, 40.0]], dtype=torch.float64, requires_grad=True)
    clipped = poincare.clip_norm(z, 2.0)
    (gradient,) = torch.autograd.grad(clipped[0, 0], z)
    assert torch.isfinite(gradient).all()
    assert float((gradient * z.detach()).sum()) == pytest.approx(0, abs=1e-12)
    assert float(gradient.norm()) > 0
    inside = torch.tensor([[0.3, 0.4]])
    assert torch.equal(poincare.clip_norm(inside, 2.0), inside)


def test_project_keeps_the_margin_of_each_precision():
    far = np.array([[3.0, 4.0]])
    assert np.linalg.norm(poincare.project(far, 4.0)) == pytest.approx((1 - 1e-5) / 2)
    assert np.linalg.norm(poincare.project(far.astype(np.float32), 4.0)) == pytest.approx((1 - 1e-3) / 2)
    assert np.linalg.norm(poincare.project(far, 4.0, 0.1)) == pytest.approx(0.45)
