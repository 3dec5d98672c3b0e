"""BM25 against the formula written out, and what it must do at its ends."""

import math

import numpy as np
import pytest

from spaceform.bm25 import K1, B, bm25


@pytest.mark.parametrize(("k1", "b"), [(K1, B), (1.5, 0.75), (0.0, 0.5), (2.0, 0.0), (1.2, 1.0)])
def test_every_weight_is_the_formula(k1, b):
    generator = np.random.default_rng(0)
    counts, lengths = generator.integers(1, 9, 30), generator.uniform(0.1, 4, 30)
    holding = generator.integers(1, 50, 30)
    found = bm25(counts, lengths, holding=holding, documents=50, k1=k1, b=b)
    for weight, f, share, n in zip(found, counts, lengths, holding, strict=True):
        rarity = math.log(1 + (50 - n + 0.5) / (n + 0.5))
        assert weight == pytest.approx(rarity * f * (k1 + 1) / (f + k1 * (1 - b + b * share)))


def test_rare_words_and_short_documents_weigh_more_and_repeats_saturate():
    ones = np.ones(3)
    assert (np.diff(bm25(ones, ones, holding=[1, 5, 10], documents=10)) < 0).all()
    assert (np.diff(bm25(ones, [0.5, 1, 2], holding=3, documents=10)) < 0).all()
    gains = np.diff(bm25([1, 2, 3, 4], np.ones(4), holding=3, documents=10))
    assert (gains > 0).all()
    assert (np.diff(gains) < 0).all()
    assert bm25(1e9, 1.0, holding=3, documents=10) == pytest.approx(math.log1p(7.5 / 3.5) * (K1 + 1))
    assert bm25(0, 1.0, holding=3, documents=10) == 0
    assert bm25(1, 1.0, holding=10, documents=10) > 0
