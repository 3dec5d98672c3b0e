"""Sets of documents: all k-subsets of n, some of them, and the table that says which query wants which document."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.rng import as_generator
from spaceform.types import BoolArray, IntArray, RandomState

MAX_SETS = 2_000_000
"""Sets that are listed without being asked for a sample: at three documents, n = 229."""


def check_set_size(n: int, k: int) -> tuple[int, int]:
    """Return ``n`` and ``k`` as integers with ``1 <= k < n``; raises ``InputError`` else."""
    n = check_integer(n, "n", low=2)
    return n, check_integer(k, "k", low=1, high=n - 1)


def document_sets(n: int, k: int, *, sample: int | None = None, random_state: RandomState = None) -> IntArray:
    """Return the k-subsets of ``0..n-1`` as ascending rows ``(m, k)`` in lexicographic order, or ``sample`` of them.

    A sample has no set twice. Raises ``InputError`` for ``k`` outside ``1..n-1``, a sample larger than C(n, k), and
    more than `MAX_SETS` sets without a sample. O(m k).
    """
    n, k = check_set_size(n, k)
    total = comb(n, k)
    if sample is None:
        if total > MAX_SETS:
            got, limit = f"C({n}, {k}) = {total:,} sets", f"at most {MAX_SETS:,}"
            raise InputError("n", got=got, expected=limit, remedy="pass sample=, the number of sets to draw")
        return np.fromiter(combinations(range(n), k), dtype=(np.int64, k), count=total)
    sample = check_integer(sample, "sample", low=1, high=total)
    if total <= MAX_SETS:
        chosen = np.sort(as_generator(random_state).choice(total, sample, replace=False))
        return document_sets(n, k)[chosen]
    generator, found = as_generator(random_state), np.empty((0, k), dtype=np.int64)
    while len(found) < sample:  # of millions of sets a draw is rarely taken twice
        keys = generator.random((sample, n)) if n <= 4 * k else None
        drawn = generator.integers(0, n, (2 * sample, k)) if keys is None else np.argsort(keys, axis=1)[:, :k]
        drawn = np.sort(drawn, axis=1)
        drawn = drawn[(np.diff(drawn, axis=1) > 0).all(1)]
        both = np.concatenate([found, drawn])
        found = both[np.sort(np.unique(both, axis=0, return_index=True)[1])]
    found = found[:sample]
    return found[np.lexsort(found.T[::-1])]


def relevance_table(sets: ArrayLike, n: int) -> BoolArray:
    """Return which query wants which document: ``(m, n)`` bool, from sets ``(m, k)`` of document numbers."""
    rows = np.asarray(sets, dtype=np.int64)
    if rows.ndim != 2 or not rows.size or rows.min() < 0 or rows.max() >= n:
        raise InputError("sets", got=f"shape {rows.shape}", expected=f"rows of document numbers from 0 to {n - 1}")
    table = np.zeros((len(rows), n), dtype=bool)
    np.put_along_axis(table, rows, values=True, axis=1)
    return table


def asked_documents(relevance: ArrayLike) -> BoolArray:
    """Return a table of the documents that a query wants, and of one that stands for all others ``(m, asked + 1)``.

    What no query wants may lie at one place, so that as many dimensions serve. Without such documents the table stays
    as it is. Raises ``InputError`` as `check_relevance`. O(m n).
    """
    table = check_relevance(relevance)
    asked = table.any(0)
    return table if asked.all() else np.pad(table[:, asked], ((0, 0), (0, 1)))


def check_relevance(relevance: ArrayLike, name: str = "relevance") -> BoolArray:
    """Return a table of relevance ``(m, n)`` as bool, every query with a relevant and an irrelevant document.

    Raises ``InputError`` for other shapes, entries but 0 and 1, and rows that are empty or full, which ask nothing.
    """
    table = np.asarray(relevance)
    if table.ndim != 2 or not table.size:
        raise InputError(name, got=f"shape {table.shape}", expected="(queries, documents)")
    if table.dtype != np.bool_:
        if table.dtype.kind not in "iuf" or not np.isin(table, (0, 1)).all():
            raise InputError(name, got=f"{table.dtype} with other values", expected="entries 0 and 1")
        table = table.astype(bool)
    counts = table.sum(1)
    bad = np.flatnonzero((counts == 0) | (counts == table.shape[1]))
    if len(bad):
        what = "no" if counts[bad[0]] == 0 else "every"
        got = f"{what} document relevant to query {bad[0]} ({len(bad):,} such queries)"
        raise InputError(name, got=got, expected="a relevant and an irrelevant document", remedy="leave them out")
    return table
