"""A linear softmax head fitted on given embeddings, for teachers that come without one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression

from spaceform.checks import check_matrix, check_partial_labels, check_real
from spaceform.errors import InputError
from spaceform.types import FloatArray

ITERATIONS = 1_000


@dataclass(frozen=True)
class LinearHead:
    """``weight (C, D)`` and ``bias (C,)`` in float64, one row per class."""

    weight: FloatArray
    bias: FloatArray

    def logits(self, X: ArrayLike) -> FloatArray:
        """Return logits ``(n, C)`` of embeddings ``(n, D)``."""
        rows = check_matrix(X, width=self.weight.shape[1])
        result: FloatArray = rows.astype(np.float64) @ self.weight.T + self.bias
        return result


def fit_linear_head(X: ArrayLike, y: ArrayLike, *, strength: float = 1.0) -> LinearHead:
    """Return the multinomial logistic regression of class numbers ``y (n,)`` in 0..C-1 (-1: passed over) on ``X``.

    Columns are standardised for the fit, so that ``strength``, the inverse of the penalty, means the same for every
    space; weights are of the raw columns. Two classes get two rows, ``w / 2`` and ``-w / 2``. Raises ``InputError`` for
    fewer than two classes or a class without rows. O(iterations n D C).
    """
    rows = check_matrix(X, dtype=np.float64)
    codes = check_partial_labels(y, len(rows))
    check_real(strength, "strength", low=0, open_ends=True)
    rows, codes = rows[codes >= 0], codes[codes >= 0]
    present = np.unique(codes)
    if len(present) < 2 or present[-1] != len(present) - 1:
        raise InputError("y", got=f"classes {present.tolist()[:10]}", expected="two or more classes, from 0 up")
    mean, spread = rows.mean(0), rows.std(0)
    spread[spread == 0] = 1.0
    model = LogisticRegression(C=strength, max_iter=ITERATIONS).fit((rows - mean) / spread, codes)
    weight, bias = model.coef_ / spread, model.intercept_ - model.coef_ @ (mean / spread)
    if len(present) == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return LinearHead(weight, bias)
