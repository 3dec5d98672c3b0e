"""The random rotation of `rotation` in NumPy, for many rows: its signs are drawn, and rows are rotated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 4


def random_signs(d: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return the signs ``(4, D)`` of a rotation of ``d`` coordinates; D is 0 for none."""
    wide = -(-d // 64) * 64
    return np.where(generator.random((ROUNDS, wide)) < 0.5, np.float32(-1), np.float32(1))


def rotated(X: NDArray[np.floating], signs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``X (n, d)``, filled up with zeros to ``(n, D)`` and rotated, in float32; O(n D log D)."""
    wide = signs.shape[1]
    turned = np.zeros((len(X), wide), np.float32)
    turned[:, : X.shape[1]] = X
    size = 1 << (wide.bit_length() - 1)
    for number, flips in enumerate(signs):
        turned *= flips
        first = 0 if number % 2 == 0 else wide - size
        block = turned[:, first : first + size].copy()
        for _ in range(size.bit_length() - 1):
            left, right = block[:, : size // 2].copy(), block[:, size // 2 :].copy()
            block[:, ::2], block[:, 1::2] = left + right, left - right
        turned[:, first : first + size] = block * np.float32(1 / np.sqrt(size))
    return turned


def as_matrix(signs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rotation as a matrix ``(D, D)`` that is multiplied from the right, for many rows at once."""
    return rotated(np.eye(signs.shape[1], dtype=np.float32), signs)
