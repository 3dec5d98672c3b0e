"""MaxSim: texts as many vectors, scored by the best partner of every vector of the query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spaceform.checks import check_matrix
from spaceform.errors import InputError
from spaceform.ops.pairs import row_blocks
from spaceform.types import FloatArray


def max_sim(queries: Sequence[FloatArray], documents: Sequence[FloatArray]) -> FloatArray:
    """Return, summed over a query's vectors, the largest inner product with one of the document's: ``(m, n)``.

    Each text is a matrix ``(vectors, d)`` with at least one row (Khattab and Zaharia 2020, "ColBERT", section 3.2, for
    unit vectors). Raises ``InputError`` for none, NaN and other widths. O(a b d) time for a vectors of queries and b of
    documents; memory for one block of products and a row of maxima per query vector.
    """
    asked, starts = _flat(queries, "queries", width=None)
    base, ends = _flat(documents, "documents", width=asked.shape[1])
    best = np.empty((len(asked), len(ends)))
    for block in row_blocks(len(asked), len(base)):
        best[block] = np.maximum.reduceat(asked[block] @ base.T, ends, axis=1)
    return np.asarray(np.add.reduceat(best, starts, axis=0))


def _flat(texts: Sequence[FloatArray], name: str, *, width: int | None) -> tuple[FloatArray, np.ndarray]:
    """Return all vectors below each other, and where each text starts."""
    if not len(texts):
        raise InputError(name, got="none", expected="one or more texts")
    first = check_matrix(texts[0], f"{name}[0]", width=width)
    rows = [check_matrix(text, f"{name}[{i}]", width=first.shape[1]) for i, text in enumerate(texts)]
    return np.concatenate(rows), np.cumsum([0, *(len(one) for one in rows[:-1])])
