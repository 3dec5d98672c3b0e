"""A random rotation that takes O(D log D): signs are drawn, and Walsh-Hadamard transforms mix the coordinates.

D is the dimension rounded up to a multiple of 64, P the largest power of two that is not above it. Each of four rounds
changes signs and transforms P coordinates, in turns the first and the last ones: every step is orthogonal, and after
four every coordinate depends on all. A transform is log2 P equal steps, each of which writes sums and differences of
the first and the second half in turns, so that all of its reads are in order (Pease 1968). Dense random rotations
(RaBitQ, Gao and Long, SIGMOD 2024) read D^2 numbers per query, which takes longer than a thousand rows do.
"""

from __future__ import annotations

import numpy as np

from spaceform.compiled import compiled


@compiled(error_model="numpy", counted=False)
def _step(source, target, half):  # type: ignore[no-untyped-def]  # compiled
    for j in range(half):
        left, right = source[j], source[j + half]
        target[2 * j], target[2 * j + 1] = left + right, left - right


@compiled(error_model="numpy")
def rotate(query, signs, turned):  # type: ignore[no-untyped-def]  # compiled
    """Fill ``turned (D,)`` with one rotated query, to the bit as `turning.rotated` does."""
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
