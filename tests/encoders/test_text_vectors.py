"""Vectors of texts are made once, part by part, and a run that was cut off goes on."""

import numpy as np
import pytest

from spaceform.encoders.text_vectors import kept_vectors
from spaceform.errors import InputError


class Counting:
    """Texts as their length and first letter; remembers what it was asked, and may fail at a text."""

    def __init__(self, fingerprint="one", bad=None):
        self.fingerprint, self.bad, self.asked = fingerprint, bad, []

    def encode(self, texts):
        if self.bad in texts:
            raise KeyboardInterrupt
        self.asked += texts
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float64)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPACEFORM_CACHE", str(tmp_path))


TEXTS = ["a", "bb", "ccc", "dddd", "eeeee"]


def test_vectors_are_made_once():
    encoder = Counting()
    first, again = (kept_vectors(encoder, TEXTS, part=2) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert first[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert encoder.asked == TEXTS


def test_a_run_that_was_cut_off_goes_on():
    with pytest.raises(KeyboardInterrupt):
        kept_vectors(Counting(bad="ccc"), TEXTS, part=2)
    encoder, seen = Counting(), []
    kept_vectors(encoder, TEXTS, part=2, progress=lambda _, done, total, *rest: seen.append((done, total)))
    assert encoder.asked == TEXTS[2:]
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_another_encoder_or_text_is_another_vector():
    kept_vectors(Counting(), TEXTS)
    for encoder, texts in ((Counting("two"), TEXTS), (Counting(), ["ab", *TEXTS[2:]])):
        kept_vectors(encoder, texts)
        assert encoder.asked == texts


def test_texts_that_join_alike_are_told_apart():
    for texts in (["ab", "c"], ["a", "bc"]):
        assert kept_vectors(Counting(), texts)[0, 0] == len(texts[0])


@pytest.mark.parametrize(("texts", "part", "name"), [([], 2, "texts"), (["a"], 0, "part")])
def test_bad_input_is_refused(texts, part, name):
    with pytest.raises(InputError, match=name):
        kept_vectors(Counting(), texts, part=part)
