"""Rows of a Space found by the words of their attributes: how a text is placed in a space that has no text encoder."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spaceform.bm25 import bm25
from spaceform.search.attributes import Kind, Schema
from spaceform.search.scorers.bm25 import words_of
from spaceform.space_rows import ID
from spaceform.types import FloatArray, IntArray

_PREFIX = 3
"""Letters from which on the beginning of a word stands for the word."""

_PREFIX_WEIGHT, _INSIDE_WEIGHT = 0.6, 0.3
_BETWEEN = r"[^\p{L}\p{N}_]+"
"""What stands between words: the letters, digits and underscores of `words_of`, as Arrow writes them."""

_LAST = "\U0010ffff"


def text_columns(table: pa.Table) -> list[str]:
    """Return the attributes that hold text or lists of text."""
    kinds = Schema.of(table).kinds
    return [name for name, kind in kinds.items() if kind in (Kind.TEXT, Kind.TEXTS) and name != ID]


def match_words(table: pa.Table, query: str) -> tuple[IntArray, FloatArray]:
    """Return the rows that share words with ``query``, best first (ties in order of rows), and their scores (> 0).

    What `RowWords` answers, for one query: only rows that have the letters of its words are read. O(characters).
    """
    names, terms = text_columns(table), _terms(query)
    if not names or not terms:
        return np.empty(0, np.int64), np.empty(0)
    documents = documents_of(table, names)
    near = np.zeros(len(table), dtype=bool)
    for term in terms:
        near |= pc.match_substring(documents, term).to_numpy()
    rows = np.flatnonzero(near)
    found, scores = RowWords(documents.take(rows), _lengths(documents)[rows], rows=len(table)).match(query)
    return rows[found], scores


class RowWords:
    """The words of rows, laid out once so that those which share words with a query are found by looking them up.

    A row's document is all its text attributes. Scores are BM25 (`spaceform.bm25.bm25`) with lengths counted in
    characters; case and a plural s are set aside. A word that no row has stands for the words that begin with it, and
    failing that for those that have it inside (scripts without spaces), at a discount.

    ``documents (m,)`` are lower-case texts of some of ``rows`` rows, ``lengths (m,)`` theirs as a share of the mean of
    all. O(characters) time once, 16 bytes for each different word of a row; it is not changed, and threads may share
    it.
    """

    def __init__(self, documents: pa.ChunkedArray, lengths: FloatArray, *, rows: int) -> None:
        self._n, self._lengths = rows, lengths
        self._words, self._starts, self._rows, self._counts = _laid_out(documents)
        self._listed: list[str] = self._words.to_pylist()

    @classmethod
    def of(cls, table: pa.Table) -> RowWords | None:
        """Return the words of a table's text attributes, or None where it has none."""
        names = text_columns(table)
        if not names:
            return None
        documents = documents_of(table, names)
        return cls(documents, _lengths(documents), rows=len(table))

    def match(self, query: str) -> tuple[IntArray, FloatArray]:
        """Return the rows that share words with ``query``, best first (ties in order), and their scores (> 0).

        O(rows + rows that have its words), and for words that no row has O(different words).
        """
        scores = np.zeros(len(self._lengths))
        for term in _terms(query):
            rows, counts = self._counts_of(term)
            scores[rows] += bm25(counts, self._lengths[rows], holding=len(rows), documents=self._n)
        found = np.flatnonzero(scores)
        order = np.argsort(-scores[found], kind="stable")
        return found[order], scores[found[order]]

    def _counts_of(self, term: str) -> tuple[IntArray, FloatArray]:
        """Return the rows that have a term, and how often: as a word, else as the beginning of words, else inside."""
        places = [
            place
            for word in (term, term + "s")
            if (place := bisect_left(self._listed, word)) < len(self._listed)
            and self._listed[place] == word
            and _stem(word) == term
        ]
        if places:
            return self._summed(np.array(places), np.ones(len(places)))
        if len(term) >= _PREFIX:
            first, last = (bisect_left(self._listed, end) for end in (term, term + _LAST))
            if last > first:
                return self._summed(np.arange(first, last), np.full(last - first, _PREFIX_WEIGHT))
        often = pc.count_substring(self._words, term).to_numpy(zero_copy_only=False)
        inside = np.flatnonzero(often)
        return self._summed(inside, _INSIDE_WEIGHT * often[inside])

    def _summed(self, words: IntArray, weights: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return the rows that have any of the ``words``, and how often each has them, every word with its weight."""
        sizes = self._starts[words + 1] - self._starts[words]
        held = np.repeat(self._starts[words] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        if len(words) == 1:
            return self._rows[held].astype(np.int64), self._counts[held].astype(np.float64) * weights[0]
        held_counts = self._counts[held] * np.repeat(weights, sizes)
        counts = np.bincount(self._rows[held], held_counts).astype(np.float64, copy=False)
        rows: IntArray = np.flatnonzero(counts)
        return rows, counts[rows]


def documents_of(table: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    """Return the lower-case text of each row; nothing for missing values."""
    columns = []
    for name in names:
        column = table[name]
        if not pa.types.is_string(column.type):
            column = pc.binary_join(column, " ")
        columns.append(pc.utf8_lower(column.fill_null("")))
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, "\n")


def _laid_out(documents: pa.ChunkedArray) -> tuple[pa.Array, IntArray, IntArray, IntArray]:
    """Return the words in order and, word after word, the rows that have it and how often; it begins at its start."""
    words, owners, row = [], [], 0
    for chunk in documents.chunks:
        split = pc.split_pattern_regex(chunk, pattern=_BETWEEN)
        words.append(split.flatten())
        owners.append(pc.list_parent_indices(split).to_numpy() + row)
        row += len(chunk)
    encoded = pc.dictionary_encode(pa.chunked_array(words, pa.string())).combine_chunks()
    ranked = pc.array_sort_indices(encoded.dictionary).to_numpy()
    ranks = np.empty(len(ranked), np.int64)
    ranks[ranked] = np.arange(len(ranked))
    codes = ranks[encoded.indices.to_numpy()]
    pairs, counts = np.unique(
        codes * max(row, 1) + np.concatenate([*owners, np.empty(0, np.int64)]), return_counts=True
    )
    codes, rows = np.divmod(pairs, max(row, 1))
    starts = np.searchsorted(codes, np.arange(len(ranked) + 1))
    listed = encoded.dictionary.take(pa.array(ranked))
    if len(listed) and listed[0].as_py() == "":  # what stands before the first separator and after the last
        listed, starts = listed[1:], starts[1:]
    return listed, starts, rows.astype(np.int32), counts.astype(np.int32)


def _lengths(documents: pa.ChunkedArray) -> FloatArray:
    """Return the lengths of texts in characters, as a share of their mean."""
    lengths = pc.utf8_length(documents).to_numpy().astype(np.float64)
    shares: FloatArray = lengths / max(1.0, float(lengths.mean()))
    return shares


def _terms(query: str) -> list[str]:
    """Return the words of a query without a plural s, each once, in lower case as Arrow makes it."""
    return list(dict.fromkeys(map(_stem, words_of(pc.utf8_lower(query).as_py()))))


def _stem(word: str) -> str:
    return word[:-1] if len(word) > _PREFIX and word.endswith("s") and not word.endswith("ss") else word
