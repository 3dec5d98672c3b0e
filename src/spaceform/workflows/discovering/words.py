"""Words that set groups of rows apart: what a novel class is called."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spaceform.search.scorers.bm25 import words_of
from spaceform.types import IntArray
from spaceform.workflows.searching.words import documents_of, text_columns

_LEAST_SHARE, _MOST_WORDS, _FEW = 1 / 8, 6, 30


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
    texts = documents_of(table, names).take(rows).to_pylist()
    inside = [Counter[str]() for _ in range(k)]
    for group, text in zip(groups.tolist(), texts, strict=True):
        inside[group].update({word for word in words_of(text) if len(word) > 2 and not word.isdigit()})
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
