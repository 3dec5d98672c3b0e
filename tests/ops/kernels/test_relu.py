"""Kernels of a rectified layer against their defining expectation, and safe where rounding is not."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.ops.kernels.relu import arccos_kernel, kernel_matrix, relu_gp, relu_ntk


def rows(seed, n=6, d=4):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize(("order", "bias"), [(0, 0.0), (1, 0.0), (0, 0.5), (1, 0.5)])
def test_against_random_units(order, bias):
    X, Y = rows(0), rows(1, n=5)
    rng = np.random.default_rng(2)
    weights, biases = rng.normal(size=(4, 400_000)), bias**0.5 * rng.normal(size=400_000)
    a, b = (np.maximum(Z @ weights + biases, 0) for Z in (X, Y))
    if order == 0:
        a, b = a > 0, b > 0
    drawn = a.astype(float) @ b.T.astype(float) / 400_000
    np.testing.assert_allclose(arccos_kernel(X, Y, order=order, bias=bias), drawn, atol=0.03)


def test_values_by_hand():
    X = np.eye(2)
    np.testing.assert_allclose(arccos_kernel(X, order=0), [[0.5, 0.25], [0.25, 0.5]])
    np.testing.assert_allclose(arccos_kernel(X, order=1), [[0.5, 0.5 / np.pi], [0.5 / np.pi, 0.5]])
    np.testing.assert_allclose(relu_ntk(X), [[1.0, 0.5 / np.pi], [0.5 / np.pi, 1.0]])
    np.testing.assert_allclose(relu_ntk(X, readout=0.0), relu_gp(X))


def test_the_tangent_kernel_is_the_gram_of_gradients():
    X = rows(3)
    rng = np.random.default_rng(4)
    n = 200_000
    W, v = rng.normal(size=(n, 4)), rng.normal(size=n)
    H = X @ W.T
    active = (H > 0) * v
    drawn = np.maximum(H, 0) @ np.maximum(H, 0).T / n + (X @ X.T) * (active @ active.T) / n
    np.testing.assert_allclose(relu_ntk(X), drawn, atol=0.1)


def test_the_diagonal_stays_finite_where_cosines_pass_one():
    X = rows(5, n=200, d=3) * np.logspace(-6, 6, 200)[:, None]
    for kernel in (arccos_kernel(X), arccos_kernel(X, order=0), relu_ntk(X)):
        assert np.isfinite(kernel).all()
    np.testing.assert_allclose(np.diag(arccos_kernel(X)), (X**2).sum(1) / 2, rtol=1e-6)


def test_kernels_have_no_negative_eigenvalues():
    X = rows(6, n=30)
    for name in ("linear", "relu_gp", "relu_ntk"):
        assert np.linalg.eigvalsh(kernel_matrix(name, X, bias=0.1)).min() > -1e-9


def test_scales_of_weights():
    X = rows(7)
    np.testing.assert_allclose(relu_gp(X, weight=4.0), 4 * relu_gp(X))
    np.testing.assert_allclose(relu_ntk(X, X, weight=4.0, bias=0.2).shape, (6, 6))


@pytest.mark.parametrize(
    "call",
    [
        lambda: arccos_kernel(np.zeros((2, 2))),
        lambda: arccos_kernel(rows(0), rows(0, d=3)),
        lambda: arccos_kernel(rows(0), bias=-1.0),
        lambda: arccos_kernel(rows(0), order=2),
        lambda: arccos_kernel(np.full((2, 2), np.nan)),
        lambda: relu_gp(rows(0), weight=0.0),
        lambda: relu_ntk(rows(0), readout=-1.0),
        lambda: kernel_matrix("rbf", rows(0)),
        lambda: kernel_matrix("linear", rows(0), bias=-1.0),
    ],
)
def test_refused(call):
    with pytest.raises(InputError):
        call()


def test_zero_rows_are_welcome_with_a_bias():
    assert np.isfinite(relu_ntk(np.zeros((2, 2)), bias=0.5)).all()
