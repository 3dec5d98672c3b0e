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
