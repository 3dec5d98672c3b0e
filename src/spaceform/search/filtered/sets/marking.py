"""Sets of rows as bits and as lists, compiled; `plain` does the same in NumPy."""

from __future__ import annotations

import numpy as np

from spaceform.compiled import compiled
from spaceform.search.filtered.scan.kernels import has, ones_of


@compiled(error_model="numpy")
def count(words):  # type: ignore[no-untyped-def]  # compiled
    """Return the number of rows in a set; O(n / 64)."""
    total = 0
    for word in words:
        total += ones_of(word)
    return total


@compiled(error_model="numpy")
def mark(rows, n):  # type: ignore[no-untyped-def]
    """Return the words of a set of ``n`` rows that holds ``rows``; O(rows + n / 64)."""
    words = np.zeros((n + 63) // 64, np.uint64)
    unit, mask = np.uint64(1), np.uint64(63)
    for row in rows:
        place = np.uint64(row)
        words[place >> np.uint64(6)] |= unit << (place & mask)
    return words


@compiled(error_model="numpy")
def mark_slice(rows, first, last, step, beginnings):  # type: ignore[no-untyped-def]
    """Return the words of the set of ``rows[first:last]``, which holds no row twice; O(n / 64 + step).

    ``beginnings[i]`` are the words of ``rows[: i * step]``: two of them differ by nearly the slice, and the rows
    between their ends and those of the slice are put right one by one.
    """
    most = len(beginnings) - 1
    low, high = min((first + step // 2) // step, most), min((last + step // 2) // step, most)
    words = beginnings[low] ^ beginnings[high]
    unit, mask = np.uint64(1), np.uint64(63)
    for end, near in ((first, low * step), (last, high * step)):
        for at in range(min(end, near), max(end, near)):
            place = np.uint64(rows[at])
            words[place >> np.uint64(6)] ^= unit << (place & mask)
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
def keep_marked(rows, words):  # type: ignore[no-untyped-def]
    """Return those of ``rows`` that are in a set; O(rows)."""
    kept, n = np.empty(len(rows), np.int32), 0
    for row in rows:
        kept[n] = row
        n += np.int64(has(words, row))
    return kept[:n]
