"""Training in the kernel regime: what is left of a network whose features do not move."""

from __future__ import annotations

from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from spaceform.checks import check_choice, check_integer, check_labels, check_real, check_rows
from spaceform.errors import InputError
from spaceform.ops.kernels.relu import KERNELS, kernel_matrix
from spaceform.types import FloatArray


@final
class KernelSGD(ClassifierMixin, BaseEstimator):
    """What training is where features are frozen: SGD on cross entropy in the space of a fixed kernel.

    ``f(x) = sum_i K(x, x_i) c_i``; each step moves c by ``- rate dL/df(x_i)``, all rows at once.

    Parameters: ``kernel`` "relu_ntk", "relu_gp" (readout only) or "linear"; ``bias`` its bias variance;
    ``learning_rate``; ``steps``. Attributes: ``coefficients_ (n, K)``, ``rows_``, ``classes_``. Raises
    ``InputError`` for NaN, one class, zero rows without bias. O(n^2 (d + steps K)) time, O(n^2) memory.

    >>> X = np.random.default_rng(0).normal(size=(40, 3))
    >>> KernelSGD().fit(X, X[:, 0] > 0).score(X, X[:, 0] > 0) > 0.9
    True
    """

    def __init__(
        self, *, kernel: str = "relu_ntk", bias: float = 0.1, learning_rate: float = 1.0, steps: int = 100
    ) -> None:
        self.kernel = kernel
        self.bias = bias
        self.learning_rate = learning_rate
        self.steps = steps

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on rows ``X (n, d)`` with labels ``y (n,)``."""
        rows = check_rows(self, X, fitting=True)
        check_choice(self.kernel, "kernel", KERNELS)
        rate = check_real(self.learning_rate, "learning_rate", low=0)
        if y is None:
            raise InputError("y", got="None: requires y to be passed, but the target y is None", expected="labels")
        labels = check_labels(column_or_1d(y, warn=True), len(rows))
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError("y", got="1 class", expected="at least 2 classes")
        self.rows_ = rows.astype(np.float64)
        kernel = kernel_matrix(self.kernel, self.rows_, bias=self.bias)
        targets = np.eye(len(self.classes_))[codes]
        self.coefficients_ = np.zeros_like(targets)
        for _ in range(check_integer(self.steps, "steps", low=0)):
            self.coefficients_ -= rate * (_softmax(kernel @ self.coefficients_) - targets) / len(rows)
        return self

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Return probabilities ``(n, K)``."""
        rows = check_rows(self, X, fitting=False).astype(np.float64)
        return _softmax(kernel_matrix(self.kernel, rows, self.rows_, bias=self.bias) @ self.coefficients_)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable class of each row."""
        chosen = self.predict_proba(X).argmax(1)
        answers: np.ndarray = self.classes_[chosen]
        return answers


def _softmax(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    probabilities: FloatArray = shifted / shifted.sum(1, keepdims=True)
    return probabilities
