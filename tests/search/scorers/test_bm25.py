"""BM25 against a slow loop over the formula."""

from math import log

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.search.scorers.bm25 import BM25, words_of

DOCUMENTS = ["The red fox, a fox!", "a blue bird", "red", "nothing here at all, red nothing"]


def slow(query, documents, k1, b):
    texts = [words_of(text) for text in documents]
    mean, scores = sum(map(len, texts)) / len(texts), []
    for words in texts:
        score = 0.0
        for word in filter(words.__contains__, words_of(query)):
            holding, f = sum(word in other for other in texts), words.count(word)
            idf = log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
            score += idf * f * (k1 + 1) / (f + k1 * (1 - b + b * len(words) / mean))
        scores.append(score)
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.0, 0.5), (2.0, 0.0), (0.9, 1.0)])
def test_scores_are_those_of_the_formula(k1, b):
    queries = ["red FOX", "bird bird", "unknown", "a"]
    expected = [slow(query, DOCUMENTS, k1, b) for query in queries]
    np.testing.assert_allclose(BM25(DOCUMENTS, k1=k1, b=b).scores(queries), expected)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="documents"):
        BM25([])
    with pytest.raises(InputError, match="queries"):
        BM25(["a"]).scores([])
    for options in ({"k1": -1}, {"b": 1.5}):
        with pytest.raises(InputError):
            BM25(["a"], **options)
    assert BM25(["", "..."]).scores(["word"]).tolist() == [[0.0, 0.0]]
