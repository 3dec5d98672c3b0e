"""Temperature of class probabilities: sharpening, softening, and fitting it on labelled rows."""

from __future__ import annotations

import numpy as np

from spaceform.errors import InputError
from spaceform.types import FloatArray, IntArray

RANGE = (-3.0, 3.0)
"""Natural logarithm of the temperatures tried: 1/20 to 20."""

FLOOR = 1e-3
"""Share of the uniform distribution mixed in where a likelihood is taken: k neighbours give zeros, whose log is not."""


def apply_temperature(P: FloatArray, temperature: float) -> FloatArray:
    """Return rows ``P^(1/T)`` scaled to sum 1, for ``P (n, K) >= 0`` without zero rows and ``T > 0``.

    ``T < 1`` sharpens, ``T > 1`` softens, 0 stays 0. For softmax outputs it divides the logits by ``T``
    (Guo et al. 2017, section 4.2).
    """
    scaled = P / P.max(axis=1, keepdims=True)
    powered = scaled ** (1.0 / temperature)
    normalized: FloatArray = powered / powered.sum(axis=1, keepdims=True)
    return normalized


def fit_temperature(P: FloatArray, columns: IntArray) -> float:
    """Return the temperature with the least negative log-likelihood of the true ``columns (n,)`` under ``P (n, K)``.

    Searched over 1/20 to 20 (bounded Brent). Probabilities are mixed with 1e-3 of the uniform distribution, so that
    models that give zeros (k nearest neighbours) have a finite likelihood. Raises ``InputError`` without rows.
    O(n K) per step, about 25 steps.
    """
    from scipy.optimize import minimize_scalar

    if len(P) == 0 or len(P) != len(columns):
        raise InputError("columns", got=f"{len(columns)} rows for {len(P)} of P", expected="one per row, at least one")
    rows = np.arange(len(P))

    def loss(log_temperature: float) -> float:
        powered = apply_temperature(P, float(np.exp(log_temperature)))
        mixed = (1 - FLOOR) * powered[rows, columns] + FLOOR / P.shape[1]
        return -float(np.log(mixed).mean())

    found = minimize_scalar(loss, bounds=RANGE, method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))
