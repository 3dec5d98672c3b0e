"""Scalar functions at the points where their formulas are 0/0."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from spaceform.geometry import arrays


def test_numpy_work_never_imports_torch():
    code = (
        "import numpy as np, sys; from spaceform.geometry import Sphere; "
        "Sphere().distance(np.ones((1, 1)), np.ones((1, 1))); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_safe_functions_have_finite_gradients_at_zero(dtype):
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=dtype, requires_grad=True)
    for function in (arrays.norm, arrays.direction, lambda v: arrays.ratio(torch.tanh, v)):
        (gradient,) = torch.autograd.grad(function(x).sum(), x)
        assert torch.isfinite(gradient).all()
    assert arrays.norm(x).flatten().tolist() == [0, 5]
    np.testing.assert_allclose(arrays.direction(x).detach().numpy(), [[0, 0], [0.6, 0.8]], rtol=1e-6)


def test_safe_sqrt_clamps_negatives():
    np.testing.assert_array_equal(arrays.safe_sqrt(np.array([-1e-9, 0.0, 4.0])), [0, 0, 2])


def test_ratio_has_its_limit():
    np.testing.assert_allclose(arrays.ratio(np.sin, np.array([0.0, np.pi])), [1, 0], atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_squares_and_inverse_sine_of_both_kinds(dtype):
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(dtype)
    expected = np.square(x.astype(np.float64)).sum(-1, keepdims=True)
    for rows in (x, torch.from_numpy(x), torch.from_numpy(x).requires_grad_()):
        got = arrays.squares(rows)
        assert got.dtype == rows.dtype
        np.testing.assert_allclose(np.asarray(got.tolist()), expected, rtol=1e-2 if dtype == np.float16 else 1e-6)
    positive = np.concatenate([[0.0], np.geomspace(1e-9, 1e9, 40)])
    np.testing.assert_allclose(arrays.arcsinh(torch.from_numpy(positive)), np.arcsinh(positive), rtol=1e-13)
    np.testing.assert_array_equal(arrays.arcsinh(positive), np.arcsinh(positive))
