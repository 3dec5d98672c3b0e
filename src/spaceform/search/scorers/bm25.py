"""BM25: documents scored by the words that they share with a query, rare words counting more."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from spaceform.bm25 import bm25
from spaceform.checks import check_real
from spaceform.errors import InputError
from spaceform.types import FloatArray

_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case: runs of letters, digits and underscores."""
    return _WORD.findall(text.lower())


class BM25:
    """Scores of ``documents`` by BM25: of each, the sum over the query's words of `spaceform.bm25.bm25`.

    ``k1`` >= 0 is how soon repetition stops to count, ``b`` in [0, 1] how much long documents pay. No stemming, no stop
    words: a word in every document weighs next to nothing.

    Raises ``InputError`` for no documents and numbers out of range. O(words) time and memory.

    >>> BM25(["a red fox", "a blue bird"]).scores(["fox?"]).argmax()
    np.int64(0)
    """

    def __init__(self, documents: Sequence[str], *, k1: float = 1.5, b: float = 0.75) -> None:
        self.k1, self.b = check_real(k1, "k1", low=0), check_real(b, "b", low=0, high=1)
        if not len(documents):
            raise InputError("documents", got="none", expected="one or more texts")
        self._columns: dict[str, int] = {}
        counts = _counted([words_of(text) for text in documents], self._columns, grow=True)
        lengths = counts.sum(1)
        relative = lengths / max(float(lengths.mean()), 1.0)
        holding = np.bincount(counts.indices, minlength=counts.shape[1])
        counts.data = bm25(
            counts.data, np.repeat(relative, np.diff(counts.indptr)), holding=holding[counts.indices],
            documents=len(documents), k1=self.k1, b=self.b,
        )  # fmt: skip
        self._weights = counts

    def scores(self, queries: Sequence[str]) -> FloatArray:
        """Return scores ``(queries, documents)``, 0 where no word is shared. O(shared words)."""
        if not len(queries):
            raise InputError("queries", got="none", expected="one or more texts")
        asked = _counted([words_of(text) for text in queries], self._columns, grow=False)
        return np.asarray((asked @ self._weights.T).toarray())


def _counted(texts: Sequence[Sequence[str]], columns: dict[str, int], *, grow: bool) -> csr_array:
    """Return how often each word stands in each text; ``grow`` gives unknown words a column, else they are left out."""
    rows, places = [], []
    for row, words in enumerate(texts):
        for word in words:
            place = columns.setdefault(word, len(columns)) if grow else columns.get(word, -1)
            if place >= 0:
                rows.append(row)
                places.append(place)
    shape = (len(texts), max(len(columns), 1))
    return csr_array((np.ones(len(rows)), (rows, places)), shape=shape)
