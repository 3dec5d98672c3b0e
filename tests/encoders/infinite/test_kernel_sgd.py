"""Training in a kernel's space: the linear kernel is a linear model trained by plain gradient descent."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from spaceform.encoders.infinite.kernel_sgd import KernelSGD
from spaceform.errors import InputError


def expected_failures(_estimator):
    return {"check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError"}


@parametrize_with_checks([KernelSGD(steps=20)], expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_the_linear_kernel_is_a_linear_model():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 4)), rng.integers(3, size=30)
    weights = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(25):
        loss = torch.nn.functional.cross_entropy(inputs @ weights.T, targets)
        (slope,) = torch.autograd.grad(loss, weights)
        weights = (weights - 0.5 * slope).detach().requires_grad_()
    model = KernelSGD(kernel="linear", bias=0.0, learning_rate=0.5, steps=25).fit(X, y)
    slow = torch.softmax(inputs @ weights.T, 1).detach().numpy()
    np.testing.assert_allclose(model.predict_proba(X), slow, atol=1e-12)


def test_a_rectified_kernel_learns_what_a_linear_one_cannot():
    X = np.random.default_rng(1).normal(size=(200, 2))
    y = X[:, 0] * X[:, 1] > 0
    scores = {
        name: KernelSGD(kernel=name, learning_rate=5.0, steps=300).fit(X, y).score(X, y)
        for name in ("linear", "relu_ntk")
    }
    assert scores["relu_ntk"] > 0.9 > 0.7 > scores["linear"]


@pytest.mark.parametrize("options", [{"kernel": "rbf"}, {"learning_rate": -1.0}, {"bias": -1.0}, {"steps": -1}])
def test_refused(options):
    with pytest.raises(InputError):
        KernelSGD(**options).fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
