"""What retrieval is tested on: documents, queries, and which document is relevant to which query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spaceform.errors import InputError
from spaceform.types import BoolArray, IntArray

MAX_CELLS = 2**31
"""Entries of the largest table of relevance made in memory, a byte each."""


@dataclass(frozen=True, eq=False, kw_only=True)
class JudgedTexts:
    """Texts, queries and judgements; ``pairs (p, 2)`` int64 are rows (query, relevant document), each once.

    Raises ``InputError`` for lengths that disagree, ids or pairs that stand twice, numbers of no query or document, and
    queries without a relevant document.
    """

    name: str
    documents: Sequence[str]
    document_ids: Sequence[str]
    queries: Sequence[str]
    query_ids: Sequence[str]
    pairs: IntArray

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        sizes = np.array([len(self.queries), len(self.documents)])
        for name, ids, count in (
            ("query_ids", self.query_ids, sizes[0]),
            ("document_ids", self.document_ids, sizes[1]),
        ):
            if len(ids) != count or len(set(ids)) != count:
                raise InputError(name, got=f"{len(set(ids))} different ids", expected=f"{count}, one per text")
        pairs = self.pairs
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype != np.int64 or not len(pairs):
            raise InputError("pairs", got=f"{pairs.dtype} of shape {pairs.shape}", expected="int64 (p, 2), p >= 1")
        if pairs.min() < 0 or (pairs.max(0) >= sizes).any():
            raise InputError("pairs", got=f"numbers up to {pairs.max(0).tolist()}", expected=f"below {sizes.tolist()}")
        if len(np.unique(pairs, axis=0)) != len(pairs):
            raise InputError("pairs", got="a pair twice", expected="each pair once")
        empty = np.flatnonzero(np.bincount(pairs[:, 0], minlength=sizes[0]) == 0)
        if len(empty):
            got = f"no relevant document for query {self.query_ids[empty[0]]!r} ({len(empty):,} such queries)"
            raise InputError("pairs", got=got, expected="one or more for each query", remedy="leave such queries out")

    def relevance(self) -> BoolArray:
        """Return the table ``(queries, documents)``. Raises ``InputError`` beyond 2 GiB: keep the judged documents."""
        m, n = len(self.queries), len(self.documents)
        if m * n > MAX_CELLS:
            raise InputError("relevance", got=f"{m:,} x {n:,} entries", expected=f"at most {MAX_CELLS:,}")
        table = np.zeros((m, n), dtype=bool)
        table[self.pairs[:, 0], self.pairs[:, 1]] = True
        return table
