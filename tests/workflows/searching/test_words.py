"""Rows found by words: against a slow loop over the formula, row by row and word by word."""

import math
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.workflows.searching.words import RowWords, match_words

WRITTEN = st.text(st.sampled_from("aabcst  _-1é猫\n"), max_size=12)
TEXTS = st.lists(st.none() | WRITTEN | st.sampled_from(["cats cat", "STRASSE", "class"]), min_size=1, max_size=8)


def stem(word):
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def slow_match(texts, query):
    """Score every row by the definition: the counts of each word, of what begins with it, or of what has it inside."""
    texts = [(text or "").lower() for text in texts]
    words = [[stem(word) for word in re.findall(r"\w+", text)] for text in texts]
    mean = max(1.0, sum(map(len, texts)) / len(texts))
    scores = np.zeros(len(texts))
    for term in dict.fromkeys(stem(word) for word in re.findall(r"\w+", query.lower())):
        counts = [Counter(own)[term] for own in words]
        if not any(counts) and len(term) >= 3:
            counts = [0.6 * sum(word.startswith(term) for word in own) for own in words]
        if not any(counts):
            counts = [0.3 * text.count(term) for text in texts]
        holding = sum(count > 0 for count in counts)
        rarity = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        for row, count in enumerate(counts):
            scores[row] += rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(texts[row]) / mean)) if count else 0
    return scores


@given(TEXTS, st.text(st.sampled_from("aabcst é猫"), min_size=1, max_size=8))
def test_scores_are_those_of_the_definition(texts, query):
    table = pa.table({"id": list(map(str, range(len(texts)))), "t": pa.array(texts, pa.string())})
    expected = slow_match(texts, query)
    for rows, scores in (match_words(table, query), RowWords.of(table).match(query)):
        found = np.zeros(len(texts))
        found[rows] = scores
        np.testing.assert_allclose(found, expected, atol=1e-12)
        assert sorted(rows) == np.flatnonzero(expected > 0).tolist()
        assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("query", ["red fox", "foxes", "fo", "blue", "ird", "zebra", "?", ""])
def test_the_words_laid_out_once_answer_as_one_reading_does(query):
    texts = ["a red fox", None, "blue birds, blue sky", "foxes & foxtrot", "bluebird"] * 3
    tags = [["red", "old"], [], None, ["fox"], ["x y"]] * 3
    chunks = [pa.table({"t": texts[part], "tags": tags[part]}) for part in (slice(0, 4), slice(4, 15))]
    table = pa.concat_tables(chunks)
    once, laid = match_words(table, query), RowWords.of(table).match(query)
    assert once[0].tolist() == laid[0].tolist()
    assert once[1].tolist() == laid[1].tolist()


def test_equal_scores_keep_the_order_of_rows_and_tables_without_text_have_no_words():
    table = pa.table({"t": ["b", "a b", "b a", "a b", "c"]})
    assert RowWords.of(table).match("a")[0].tolist() == [1, 2, 3]
    assert RowWords.of(pa.table({"id": ["a"], "n": [1]})) is None
    assert RowWords.of(pa.table({"t": [None, "-", ""]}).cast(pa.schema([("t", pa.string())]))).match("a")[0].size == 0
