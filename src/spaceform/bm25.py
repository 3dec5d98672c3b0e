"""BM25: what a word says about a document that has it; the one formula behind every search by words here."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spaceform.types import FloatArray

K1, B = 1.2, 0.75
"""The usual constants (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009, section 3)."""


def bm25(
    counts: ArrayLike, lengths: ArrayLike, *, holding: ArrayLike, documents: int, k1: float = K1, b: float = B
) -> FloatArray:
    """Return the weight of words in documents: ``idf f (k1 + 1) / (f + k1 (1 - b + b l))``.

    ``idf = log(1 + (N - n + 1/2) / (n + 1/2))`` of N ``documents``, n of them ``holding`` the word; ``counts`` f >= 0
    say how often it stands in this one, ``lengths`` l how long this one is, as a share of the mean. ``k1`` >= 0 is how
    soon repetition stops to count, ``b`` in [0, 1] how much long documents pay. Arrays of one shape, or of shapes that
    broadcast; the weights, >= 0, have that shape. Nothing is checked. O(counts).

    Source: Robertson and Zaragoza 2009, section 3, with the logarithm that stays positive for words of most documents.

    >>> bm25([1, 2], [1, 1], holding=1, documents=2).round(3)
    array([0.693, 0.953])
    """
    often = np.asarray(counts, dtype=np.float64)
    having = np.asarray(holding, dtype=np.float64)
    rarity = np.log1p((documents - having + 0.5) / (having + 0.5))
    slow = k1 * (1 - b + b * np.asarray(lengths, dtype=np.float64))
    weights: FloatArray = rarity * often * (k1 + 1) / (often + slow)
    return weights
