"""Small codes of vectors with bounds on what they lose: one byte, or one bit, per coordinate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spaceform.types import FloatArray

_BLOCK_BYTES = 16 * 2**20

BitCodes = tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]


def encode_bytes(
    X: NDArray[np.float32], minima: FloatArray, steps: FloatArray
) -> tuple[NDArray[np.uint8], NDArray[np.float32], float]:
    """Round ``(X - minima) / steps`` to bytes.

    Return the codes ``(n, d)``, the distances ``(n,)`` between rows and what their codes stand for (rounded up, also
    for rows outside the range), and the largest norm of ``codes - 128``. ``steps`` are > 0; a constant coordinate is
    exact with any step. O(n d).
    """
    codes, error, spread = np.empty(X.shape, np.uint8), np.empty(len(X), np.float32), 0.0
    height = max(1, _BLOCK_BYTES // (8 * X.shape[1]))
    for start in range(0, len(X), height):
        block = X[start : start + height].astype(np.float64)
        rounded = np.clip(np.rint((block - minima) / steps), 0, 255)
        lost = block - (minima + steps * rounded)
        codes[start : start + height] = rounded
        error[start : start + height] = np.sqrt(np.einsum("nd,nd->n", lost, lost)) * (1 + 1e-6) + 1e-30
        spread = max(spread, float(np.sqrt(((rounded - 128) ** 2).sum(axis=1).max())))
    return codes, error, spread


def random_rotation(d: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return a random orthogonal matrix of d rounded up to a multiple of 64 (QR of a Gaussian matrix)."""
    wide = -(-d // 64) * 64
    factor, triangle = np.linalg.qr(generator.standard_normal((wide, wide)))
    return np.ascontiguousarray(factor * np.sign(np.diag(triangle)), dtype=np.float32)


def rotated(X: FloatArray, rotation: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``X (n, d)``, filled up with zeros, times the rotation."""
    return X.astype(np.float32) @ rotation[: X.shape[1]]


def encode_bits(gaps: NDArray[np.float32], rotation: NDArray[np.float32]) -> BitCodes:
    """Encode residuals ``r (n, d)`` by the signs of their rotated coordinates (RaBitQ, Gao and Long, SIGMOD 2024).

    With ``s`` the signs and ``t`` the rotated residual, ``q . r`` is estimated without bias by
    ``(s . q) |r|^2 / |t|_1``, and the error is about ``|q| |r| sqrt(D |r|^2 / |t|_1^2 - 1)`` times a standard normal
    over ``sqrt(D - 1)``. Return the bits ``(n, D / 64)``, the number of ones, the factors and
    ``|r| sqrt(D |r|^2 / |t|_1^2 - 1)``; nothing (length 0) without a rotation. O(n d D).
    """
    wide = len(rotation)
    n = len(gaps) if wide else 0
    bits, ones = np.empty((n, wide // 64), np.uint64), np.empty(n, np.int32)
    factor, deviation = np.empty(n, np.float32), np.empty(n, np.float32)
    height = max(1, _BLOCK_BYTES // (4 * max(wide, 1)))
    for start in range(0, n, height):
        block = slice(start, start + height)
        turned = rotated(gaps[block], rotation)
        positive = turned > 0
        bits[block] = np.packbits(positive, axis=1, bitorder="little").view(np.uint64)
        ones[block] = positive.sum(axis=1)
        squares = np.einsum("nd,nd->n", turned, turned, dtype=np.float64)
        sums = np.maximum(np.abs(turned).sum(axis=1, dtype=np.float64), 1e-30)
        factor[block] = squares / sums
        deviation[block] = np.sqrt(squares * np.maximum(0.0, wide * squares / sums**2 - 1))
    return bits, ones, factor, deviation
