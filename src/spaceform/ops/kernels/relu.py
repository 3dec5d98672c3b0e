"""Kernels of one infinitely wide layer of rectified units (Cho and Saul, 2009; Jacot and others, 2018)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_choice, check_integer, check_matrix, check_real
from spaceform.errors import InputError
from spaceform.types import FloatArray

KERNELS = ("linear", "relu_gp", "relu_ntk")


def arccos_kernel(X: ArrayLike, Y: ArrayLike | None = None, *, order: int = 1, bias: float = 0.0) -> FloatArray:
    """Return the arc-cosine kernel ``(n, m)`` of ``X (n, d)`` and ``Y (m, d)`` (None: X itself), float64.

    With ``s = sqrt(|x|^2 + bias)``, ``q = (x.y + bias) / (s_x s_y)`` and w standard normal, b of variance ``bias``:
    order 0: ``P(both units active) = acos(-q) / 2 pi``; order 1: ``E relu(w.x + b) relu(w.y + b) = s_x s_y (sqrt(1 -
    q^2) + q acos(-q)) / 2 pi``. q is clamped to [-1, 1]: rounding puts the diagonal beyond.

    Raises ``InputError`` for NaN, other widths, a bias below 0, and zero rows without bias. O(n m d).
    """
    order = check_integer(order, "order", low=0, high=1)
    variance = check_real(bias, "bias", low=0)
    first = check_matrix(X, dtype=np.float64)
    second = first if Y is None else check_matrix(Y, "Y", width=first.shape[1], dtype=np.float64)
    sizes = [np.sqrt(np.einsum("nd,nd->n", rows, rows) + variance) for rows in (first, second)]
    if min(size.min() for size in sizes) <= 0:
        raise InputError("X", got="a zero row", expected="rows with a direction", remedy="pass a bias above 0")
    product = np.outer(*sizes)
    q = np.clip((first @ second.T + variance) / product, -1.0, 1.0)
    angle = np.arccos(-q)
    if order == 0:
        return angle / (2 * np.pi)
    kernel: FloatArray = product * (np.sqrt(np.maximum(1 - q**2, 0.0)) + q * angle) / (2 * np.pi)
    return kernel


def relu_gp(X: ArrayLike, Y: ArrayLike | None = None, *, weight: float = 1.0, bias: float = 0.0) -> FloatArray:
    """Return the kernel of the Gaussian process: order 1 with weights and biases of these variances.

    Errors, shapes and cost as :func:`arccos_kernel`.
    """
    scale = check_real(weight, "weight", low=0, open_ends=True) ** 0.5
    first = check_matrix(X, dtype=np.float64)
    second = None if Y is None else check_matrix(Y, "Y", dtype=np.float64) * scale
    return arccos_kernel(first * scale, second, order=1, bias=bias)


def relu_ntk(
    X: ArrayLike, Y: ArrayLike | None = None, *, weight: float = 1.0, bias: float = 0.0, readout: float = 1.0
) -> FloatArray:
    """Return the tangent kernel: :func:`relu_gp`, and ``readout x.y acos(-q) / 2 pi`` from training the first layer.

    ``readout`` is the variance of the last layer; the bias of the first is not trained. Else as :func:`arccos_kernel`.
    """
    scale = check_real(weight, "weight", low=0, open_ends=True) ** 0.5
    variance = check_real(readout, "readout", low=0)
    first = check_matrix(X, dtype=np.float64)
    second = first if Y is None else check_matrix(Y, "Y", width=first.shape[1], dtype=np.float64)
    active = arccos_kernel(first * scale, second * scale, order=0, bias=bias)
    return relu_gp(first, second, weight=weight, bias=bias) + variance * (first @ second.T) * active


def kernel_matrix(name: str, X: ArrayLike, Y: ArrayLike | None = None, *, bias: float = 0.0) -> FloatArray:
    """Return the kernel ``"linear"`` (``x.y + bias``), ``"relu_gp"`` or ``"relu_ntk"`` with unit variances."""
    check_choice(name, "kernel", KERNELS)
    if name == "linear":
        first = check_matrix(X, dtype=np.float64)
        second = first if Y is None else check_matrix(Y, "Y", width=first.shape[1], dtype=np.float64)
        return first @ second.T + check_real(bias, "bias", low=0)
    return (relu_gp if name == "relu_gp" else relu_ntk)(X, Y, bias=bias)
