"""Rows that pass turned into bits, compiled: from a list of rows, or from the rank of each row's value."""

from __future__ import annotations

import numpy as np

from spaceform.compiled import compiled
from spaceform.search.filtered.scan.kernels import _ones


@compiled(error_model="numpy")
def count(words):  # type: ignore[no-untyped-def]  # compiled
    """Return the number of rows in a set; O(n / 64)."""
    total = 0
    for word in words:
        total += _ones(word)
    return total


@compiled(error_model="numpy")
def extent(X):  # type: ignore[no-untyped-def]
    """Return the largest size of a coordinate (infinite if one is no number) and the smallest norm; O(n d)."""
    largest, smallest = 0.0, np.inf
    for i in range(X.shape[0]):
        total = 0.0
        for j in range(X.shape[1]):
            value = np.float64(X[i, j])
            total += value * value
            largest = max(largest, abs(value))
        if not np.isfinite(total):
            return np.inf, 0.0
        smallest = min(smallest, total)
    return largest, np.sqrt(smallest)


@compiled(error_model="numpy")
def mark(rows, n):  # type: ignore[no-untyped-def]  # compiled
    """Return the words of a set of ``n`` rows that holds ``rows``; O(rows + n / 64)."""
    words = np.zeros((n + 63) // 64, np.uint64)
    unit, mask = np.uint64(1), np.uint64(63)
    for row in rows:
        place = np.uint64(row)
        words[place >> np.uint64(6)] |= unit << (place & mask)
    return words


@compiled(error_model="numpy")
def keep_between(rows, ranks, low, high):  # type: ignore[no-untyped-def]
    """Return those of ``rows`` with ``low <= rank < high``; O(rows)."""
    kept, n = np.empty(len(rows), np.int32), 0
    width, least = np.uint32(max(0, high - low)), np.int32(low)
    for row in rows:
        kept[n] = row
        n += np.uint32(ranks[row] - least) < width
    return kept[:n]


@compiled(error_model="numpy")
def mark_between(ranks, low, high):  # type: ignore[no-untyped-def]
    """Return the words of the rows with ``low <= rank < high``; O(n), in order of the memory."""
    n = len(ranks)
    size = (n + 63) // 64
    words, flags = np.empty(size, np.uint64), np.zeros(64 * size, np.uint8)
    width, least = np.uint32(high - low), np.int32(low)
    for row in range(n):
        flags[row] = np.uint32(ranks[row] - least) < width
    eights = flags.view(np.uint64)
    for w in range(size):
        word = np.uint64(0)
        for b in range(8):  # the product has the flags of eight bytes, in order, as its highest bits
            word |= (eights[8 * w + b] * np.uint64(0x0102040810204080) >> np.uint64(56)) << np.uint64(8 * b)
        words[w] = word
    return words
