"""Small codes of vectors with bounds on what they lose: one byte, or one bit, per coordinate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan.turning import as_matrix
from spaceform.types import FloatArray

_BLOCK_BYTES = 2**19
_LINE_WORDS = 8
"""Words of a line of the processor's cache."""


def byte_frame(X: NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
    """Return ``minima (d,)`` and ``steps (d,)`` by which rows fill bytes; the step of a constant coordinate is 1."""
    minima = X.min(axis=0).astype(np.float64)
    steps = (X.max(axis=0) - minima) / 255
    steps[steps == 0] = 1.0
    return minima, steps


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


def encode_bits(
    X: NDArray[np.float32], middle: FloatArray, level: FloatArray, signs: NDArray[np.float32]
) -> NDArray[np.uint64]:
    """Encode residuals ``r = X - middle``, ``(n, d)``, by the signs of their rotated coordinates.

    This is RaBitQ (Gao and Long, SIGMOD 2024). With ``s`` the signs and ``t`` the rotated residual, ``q . r`` is
    estimated without bias by ``(s . q) |r|^2 / |t|_1``, and the error is about ``|q| |r| sqrt(D |r|^2 / |t|_1^2 - 1)``
    times a standard normal over ``sqrt(D - 1)``. A row becomes one record of words, so that a screen fetches it at
    once: D / 64 words of signs, then four float32: the factor of ``s . q``, the ``|r| sqrt(D |r|^2 / |t|_1^2 - 1)`` of
    the error, the number of ones, and ``level`` rounded up. Records begin where lines of the cache do, or fill one in a
    whole number. O(n d D).
    """
    words = signs.shape[1] // 64
    lines = _aligned(len(X), _record(words + 2))
    floats = lines.view(np.float32)[:, 2 * words : 2 * words + 4]
    if not len(X):
        return lines
    matrix = as_matrix(signs)[: X.shape[1]]
    height = max(1, _BLOCK_BYTES // (4 * signs.shape[1]))
    for start in range(0, len(X), height):
        block = slice(start, start + height)
        turned = (X[block] - middle).astype(np.float32) @ matrix
        positive = turned > 0
        lines[block, :words] = np.packbits(positive, axis=1, bitorder="little").view(np.uint64)
        squares = np.einsum("nd,nd->n", turned, turned, dtype=np.float64)
        sums = np.maximum(np.abs(turned).sum(axis=1, dtype=np.float64), 1e-30)
        floats[block, 0] = squares / sums
        floats[block, 1] = np.sqrt(squares * np.maximum(0.0, 64 * words * squares / sums**2 - 1))
        floats[block, 2] = positive.sum(axis=1)
        floats[block, 3] = np.nextafter(level[block].astype(np.float32), np.float32(np.inf))
    return lines


def _record(words: int) -> int:
    """Return the words of a record that is never spread over more lines than it must be."""
    if words > _LINE_WORDS:
        return -(-words // _LINE_WORDS) * _LINE_WORDS
    return 1 << (words - 1).bit_length()


def _aligned(n: int, width: int) -> NDArray[np.uint64]:
    """Return zeros ``(n, width)`` that begin where a line of the cache does."""
    room = np.zeros(n * width + _LINE_WORDS, np.uint64)
    first = -(room.ctypes.data // room.itemsize) % _LINE_WORDS
    return room[first : first + n * width].reshape(n, width)
