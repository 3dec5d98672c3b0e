"""How well scores return the relevant documents: exact sets, margins, and recall; a tie is never an answer.

Equal scores are ordered against the query: an irrelevant document stands before a relevant one of the same score.
Otherwise vectors that are all the same would return everything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_matrix
from spaceform.errors import InputError
from spaceform.ops.capacity.subsets import check_relevance
from spaceform.ops.pairs import ZERO_NORM, row_blocks
from spaceform.types import BoolArray, FloatArray, IntArray


def set_margins(scores: ArrayLike, relevance: ArrayLike) -> FloatArray:
    """Return for each query the least score of a relevant document less the largest of an irrelevant one ``(m,)``.

    ``scores`` and ``relevance`` are ``(m, n)``. The relevant set is returned exactly where this is above 0. O(m n).
    """
    found, table = _checked(scores, relevance)
    least = np.where(table, found, np.inf).min(1)
    return np.asarray(least - np.where(table, -np.inf, found).max(1))


def exact_sets(scores: ArrayLike, relevance: ArrayLike) -> BoolArray:
    """Return for which queries the relevant documents are exactly the best ones ``(m,)``; a tie is an error."""
    return set_margins(scores, relevance) > 0


def relevance_recall(scores: ArrayLike, relevance: ArrayLike, ks: Sequence[int] = (2, 10, 100)) -> dict[int, float]:
    """Return per k the share of a query's relevant documents among its k best, averaged over queries.

    ``ks`` are at most the number of documents. Raises ``InputError`` for arrays that do not fit. O(m n log n).
    """
    found, table = _checked(scores, relevance)
    wanted = [check_integer(k, "ks", low=1, high=found.shape[1]) for k in ks]
    sums = dict.fromkeys(wanted, 0.0)
    for block in row_blocks(*found.shape):
        hits = np.take_along_axis(table[block], _against(found[block], table[block]), 1)
        for k in wanted:
            sums[k] += float((hits[:, :k].sum(1) / table[block].sum(1)).sum())
    return {k: total / len(found) for k, total in sums.items()}


def truncation_curve(
    queries: ArrayLike, documents: ArrayLike, relevance: ArrayLike, *, dims: Sequence[int], k: int
) -> dict[int, float]:
    """Return recall at k of the cosine when only the first ``d`` coordinates are kept, for each of ``dims``.

    What is kept is scaled to unit length again. Raises ``InputError`` for widths that do not fit and rows of which
    nothing is left. O(m n sum(dims)).
    """
    asked = check_matrix(queries, "queries", dtype=np.float64)
    base = check_matrix(documents, "documents", width=asked.shape[1], dtype=np.float64)
    figures = {}
    for d in dims:
        d = check_integer(d, "dims", low=1, high=asked.shape[1])  # noqa: PLW2901  the checked one
        figures[d] = relevance_recall(_unit(asked[:, :d]) @ _unit(base[:, :d]).T, relevance, (k,))[k]
    return figures


def _unit(X: FloatArray) -> FloatArray:
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    if (norms < ZERO_NORM).any():
        row = int(np.argmax(norms[:, 0] < ZERO_NORM))
        raise InputError("dims", got=f"row {row} with nothing in its first {X.shape[1]} coordinates", expected="more")
    return np.asarray(X / norms)


def _against(scores: FloatArray, table: BoolArray) -> IntArray:
    """Return documents best first, irrelevant ones first among equals."""
    return np.lexsort((table, -scores), axis=1)


def _checked(scores: ArrayLike, relevance: ArrayLike) -> tuple[FloatArray, BoolArray]:
    table = check_relevance(relevance)
    found = check_matrix(scores, "scores")
    if found.shape != table.shape:
        raise InputError("scores", got=f"shape {found.shape}", expected=f"{table.shape}, as relevance")
    return found, table
