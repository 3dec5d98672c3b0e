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
_LEAST_SHARE, _MOST_WORDS, _FEW = 1 / 8, 6, 30
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


def distinctive_words(
    table: pa.Table, rows: IntArray, groups: IntArray, *, without: str | None = None
) -> list[list[str]]:
    """Return for each group ``0..k-1`` the words that its rows share and other rows lack, best first, at most six.

    ``rows (m,)`` of ``table`` belong to ``groups (m,)``. The score of a word is the share of the group's rows that
    have it, times the logarithm of its rarity among all ``rows`` (TF-IDF with the group as the document); words in
    less than an eighth of a group's rows say nothing about it. Columns of fewer than 30 values (a source, a vendor) are
    not read, nor is the column ``without`` or any that has one value for each of its values. O(words of the rows).
    """
    names = [name for name in text_columns(table) if _is_rich(table, name) and not _follows(table, name, without)]
    k = int(groups.max()) + 1 if len(groups) else 0
    if not names:
        return [[] for _ in range(k)]
    texts = _documents(table, names).take(rows).to_pylist()
    inside = [Counter[str]() for _ in range(k)]
    for group, text in zip(groups.tolist(), texts, strict=True):
        inside[group].update({word for word in _words(text) if len(word) > 2 and not word.isdigit()})
    everywhere = sum(inside, Counter[str]())
    sizes = np.bincount(groups, minlength=k)
    named = []
    for group, words in enumerate(inside):
        least = max(2, sizes[group] * _LEAST_SHARE)
        scores = {
            word: count / sizes[group] * np.log(len(rows) / everywhere[word])
            for word, count in words.items()
            if count >= least
        }
        named.append(sorted(scores, key=lambda word: (-scores[word], word))[:_MOST_WORDS])
    return named


def _is_rich(table: pa.Table, name: str) -> bool:
    """Tell whether a column describes its rows, rather than sorting them into a few kinds."""
    column = table[name]
    return not pa.types.is_string(column.type) or len(pc.unique(column)) >= min(_FEW, len(table) // 4)


def _follows(table: pa.Table, name: str, label: str | None) -> bool:
    """Tell whether a column is the label, or has one value for each value of the label (and so gives it away)."""
    if label is None or label not in table.column_names:
        return False
    if name == label:
        return True
    if not pa.types.is_string(table[name].type):
        return False
    values, classes = table[name], table[label]
    pairs = pa.table({"v": values, "c": classes}).group_by(["v", "c"]).aggregate([])
    return len(pairs) == len(pc.unique(classes))


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
