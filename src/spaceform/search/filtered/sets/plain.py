"""What `marking` does, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.bitmaps import Words

Rows = NDArray[np.int32]


def count(words: Words) -> int:
    """Return the number of rows in a set; O(n / 64)."""
    return int(bitmaps.ones(words).sum())


def mark(rows: Rows, n: int) -> Words:
    """Return the words of a set of ``n`` rows that holds ``rows``; O(rows + n / 8)."""
    return bitmaps.scattered(rows, n)


def mark_slice(rows: Rows, first: int, last: int, *_: Any) -> Words:
    """Return the words of the set of ``rows[first:last]`` among ``len(rows)``; O(n / 8)."""
    return bitmaps.scattered(rows[first:last], len(rows))


def keep_between(rows: Rows, ranks: Rows, low: int, high: int) -> Rows:
    """Return those of ``rows`` with ``low <= rank < high``; O(rows)."""
    found = ranks[rows]
    return rows[(found >= low) & (found < high)]


def keep_marked(rows: Rows, words: Words) -> Rows:
    """Return those of ``rows`` that are in a set; O(rows)."""
    bits = words[rows >> 6] >> (rows & 63).astype(np.uint64)
    return rows[(bits & np.uint64(1)).astype(bool)]
