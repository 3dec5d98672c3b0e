"""A random rotation that takes O(D log D): signs are drawn, and Walsh-Hadamard transforms mix the coordinates.

D is the dimension rounded up to a multiple of 64, P the largest power of two that is not above it. Each of four rounds
changes signs and transforms P coordinates, in turns the first and the last ones: every step is orthogonal, and after
four every coordinate depends on all. A transform is log2 P equal steps, each of which writes sums and differences of
the first and the second half in turns, so that all of its reads are in order (Pease 1968). Dense random rotations
(RaBitQ, Gao and Long, SIGMOD 2024) read D^2 numbers per query, which takes longer than a thousand rows do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spaceform.compiled import compiled

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


@compiled(error_model="numpy", counted=False)
def _step(source, target, half):  # type: ignore[no-untyped-def]  # compiled
    for j in range(half):
        left, right = source[j], source[j + half]
        target[2 * j], target[2 * j + 1] = left + right, left - right


@compiled(error_model="numpy")
def rotate(query, signs, turned):  # type: ignore[no-untyped-def]  # compiled
    """Fill ``turned (D,)`` with one rotated query, to the bit as `rotated` does."""
    wide, d = signs.shape[1], len(query)
    for j in range(wide):
        turned[j] = np.float32(query[j]) if j < d else np.float32(0)
    size, steps = 1, 0
    while 2 * size <= wide:
        size, steps = 2 * size, steps + 1
    scale, half = np.float32(1 / np.sqrt(size)), size // 2
    source, target = np.empty(size, np.float32), np.empty(size, np.float32)
    for number in range(len(signs)):
        for j in range(wide):
            turned[j] *= signs[number, j]
        first = 0 if number % 2 == 0 else wide - size
        source[:] = turned[first : first + size]
        for step in range(steps):
            if step % 2 == 0:
                _step(source, target, half)
            else:
                _step(target, source, half)
        mixed = source if steps % 2 == 0 else target
        for j in range(size):
            turned[first + j] = mixed[j] * scale
