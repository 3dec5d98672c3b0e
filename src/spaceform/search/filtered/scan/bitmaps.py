"""Sets of rows as bits: row r is bit r % 64 of word r // 64, and bits beyond the last row are zero."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spaceform.types import BoolArray, IntArray

Words: TypeAlias = NDArray[np.uint64]

WORD = 64


def pack(mask: BoolArray) -> Words:
    """Return the bits of ``mask (n,)`` as ``ceil(n / 64)`` words; O(n)."""
    padded = np.zeros(-(-len(mask) // WORD) * WORD, dtype=bool)
    padded[: len(mask)] = mask
    return np.packbits(padded, bitorder="little").view(np.uint64)


def unpack(words: Words, n: int) -> BoolArray:
    """Return the mask ``(n,)`` of the words; O(n)."""
    return np.unpackbits(words.view(np.uint8), count=n, bitorder="little").view(bool)


def ones(words: Words) -> IntArray:
    """Return the number of bits in each word."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words).astype(np.int64)
    return np.unpackbits(words.view(np.uint8)).reshape(-1, WORD).sum(axis=1, dtype=np.int64)  # NumPy before 2.0


def full(n: int) -> Words:
    """Return the set of all ``n`` rows."""
    words = np.full(-(-n // WORD), ~np.uint64(0), dtype=np.uint64)
    if n % WORD:
        words[-1] = np.uint64((1 << (n % WORD)) - 1)
    return words


def empty(n: int) -> Words:
    """Return the empty set of ``n`` rows."""
    return np.zeros(-(-n // WORD), dtype=np.uint64)


def complement(words: Words, n: int) -> Words:
    """Return the rows of ``n`` that are not in the set."""
    return full(n) & ~words


def scattered(positions: NDArray[np.integer[Any]], n: int) -> Words:
    """Return the set of the rows at ``positions``; O(n / 8 + positions)."""
    mask = np.zeros(n, dtype=bool)
    mask[positions] = True
    return pack(mask)


def positions(words: Words, n: int) -> IntArray:
    """Return the rows in the set, ascending."""
    return np.flatnonzero(unpack(words, n))
