"""Rows of a Space found by the words of their attributes: how a text is placed in a space that has no text encoder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spaceform.search.attributes import Kind, Schema
from spaceform.space_rows import ID
from spaceform.types import FloatArray, IntArray

_SATURATION, _LENGTH = 1.2, 0.75
"""The usual constants of BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009, section 3)."""

_PREFIX = 3
"""Letters from which on the beginning of a word stands for the word."""

_PREFIX_WEIGHT, _INSIDE_WEIGHT = 0.6, 0.3
_WORD = re.compile(r"\w+")


def text_columns(table: pa.Table) -> list[str]:
    """Return the attributes that hold text or lists of text."""
    kinds = Schema.of(table).kinds
    return [name for name, kind in kinds.items() if kind in (Kind.TEXT, Kind.TEXTS) and name != ID]


def match_words(table: pa.Table, query: str) -> tuple[IntArray, FloatArray]:
    """Return the rows that share words with ``query``, best first (ties in order of rows), and their scores (> 0).

    A row's document is all its text attributes. Scores are BM25 with lengths counted in characters; case and a
    plural s are set aside. A word that no row has stands for the words that begin with it, and failing that for
    those that have it inside (scripts without spaces), at a discount. O(rows x words of the query).
    """
    names, terms = text_columns(table), list(dict.fromkeys(map(_stem, _words(query))))
    if not names or not terms:
        return np.empty(0, np.int64), np.empty(0)
    documents = _documents(table, names)
    lengths = pc.utf8_length(documents).to_numpy().astype(np.float64)
    near = np.zeros(len(table), dtype=bool)
    for term in terms:
        near |= pc.match_substring(documents, term).to_numpy()
    rows = np.flatnonzero(near)
    texts = documents.take(rows).to_pylist()
    stems = [Counter(map(_stem, _words(text))) for text in texts]
    scores = np.zeros(len(rows))
    discount = 1 - _LENGTH + _LENGTH * lengths[rows] / max(1.0, float(lengths.mean()))
    for term in terms:
        counts = _counts(term, stems, texts)
        present = int((counts > 0).sum())
        rarity = np.log1p((len(table) - present + 0.5) / (present + 0.5))
        scores += rarity * counts * (_SATURATION + 1) / (counts + _SATURATION * discount)
    order = np.lexsort((rows, -scores))
    order = order[scores[order] > 0]
    return rows[order], scores[order]


def _documents(table: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    """Return the lower-case text of each row; nothing for missing values."""
    columns = []
    for name in names:
        column = table[name]
        if not pa.types.is_string(column.type):
            column = pc.binary_join(column, " ")
        columns.append(pc.utf8_lower(column.fill_null("")))
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, "\n")


def _counts(term: str, stems: Sequence[Counter[str]], texts: Sequence[str]) -> FloatArray:
    """How often each text has the term: as a word, else as the beginning of words, else inside words."""
    counts = np.array([words[term] for words in stems], dtype=np.float64)
    if counts.any():
        return counts
    if len(term) >= _PREFIX:
        begun = [sum(times for word, times in words.items() if word.startswith(term)) for words in stems]
        counts = np.array(begun, dtype=np.float64)
    if counts.any():
        return counts * _PREFIX_WEIGHT
    return np.array([text.count(term) for text in texts], dtype=np.float64) * _INSIDE_WEIGHT


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _stem(word: str) -> str:
    return word[:-1] if len(word) > _PREFIX and word.endswith("s") and not word.endswith("ss") else word
