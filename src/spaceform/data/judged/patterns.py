"""Which documents a query wants: the dense pattern of LIMIT, and sparser ones of the same size."""

from __future__ import annotations

from itertools import combinations, islice
from math import comb

import numpy as np

from spaceform.checks import check_choice, check_integer
from spaceform.errors import InputError
from spaceform.rng import as_generator
from spaceform.types import IntArray, RandomState

PATTERNS = ("dense", "random", "cycle", "disjoint")


def relevance_pattern(
    pattern: str, *, n_documents: int, n_queries: int, k: int = 2, random_state: RandomState = None
) -> IntArray:
    """Return the k documents that each query wants ``(n_queries, k)``, ascending in a row except in a cycle's last.

    ``dense``: the first k-subsets, in lexicographic order, of the fewest documents that have so many; ``random``: k
    documents drawn for each query; ``cycle``: query i wants documents i to i + k - 1, around; ``disjoint``: the next k
    for each. Raises ``InputError`` for k < 1, k >= n and fewer documents than the pattern takes. O(n_queries k).
    """
    check_choice(pattern, "pattern", PATTERNS)
    n, m = check_integer(n_documents, "n_documents", low=2), check_integer(n_queries, "n_queries", low=1)
    k = check_integer(k, "k", low=1, high=n - 1)
    if pattern == "random":
        generator = as_generator(random_state)
        return np.sort([generator.choice(n, k, replace=False) for _ in range(m)], axis=1).astype(np.int64)
    if pattern == "cycle":
        return (np.arange(m)[:, None] + np.arange(k)) % n
    needed = k * m if pattern == "disjoint" else dense_size(m, k)
    if needed > n:
        raise InputError("n_documents", got=n, expected=f"at least {needed} for {m} queries of pattern {pattern}")
    if pattern == "disjoint":
        return np.arange(k * m).reshape(m, k)
    return np.array(list(islice(combinations(range(needed), k), m)), dtype=np.int64)


def dense_size(n_queries: int, k: int) -> int:
    """Return the fewest documents, more than k, that have ``n_queries`` k-subsets: 46 for 1,000 pairs."""
    n = k + 1
    while comb(n, k) < n_queries:
        n += 1
    return n
