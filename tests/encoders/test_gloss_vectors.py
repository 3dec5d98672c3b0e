"""Nouns as vectors: rows and queries are different nouns, drawn once, and encoded once."""

import numpy as np
import pytest

from spaceform.encoders import gloss_vectors
from spaceform.encoders.gloss_vectors import load_gloss_vectors


class Nouns:
    lemmas = tuple((f"word {i}", f"other {i}") for i in range(40))

    def __len__(self):
        return len(self.lemmas)

    def texts(self):
        return [f"{', '.join(words)}: gloss {i}" for i, words in enumerate(self.lemmas)]


@pytest.fixture
def encoded(monkeypatch, tmp_path):
    calls = []

    class Encoder:
        def __init__(self, name, *, max_tokens):
            assert name == "minilm"

        def encode(self, texts, *, batch_size, progress):
            calls.append(texts)
            return np.array([[float(text.split(",")[0].split()[1])] for text in texts], np.float32)

    monkeypatch.setenv("SPACEFORM_CACHE", str(tmp_path))
    monkeypatch.setattr(gloss_vectors, "TextEncoder", Encoder)
    monkeypatch.setattr(gloss_vectors, "load_nouns", lambda progress: Nouns())
    monkeypatch.setattr(gloss_vectors, "QUERIES", 10)
    return calls


def test_rows_and_queries_are_different_nouns(encoded):
    made = load_gloss_vectors(25)
    assert made.rows[:, 0].tolist() == made.kept.tolist() == sorted(set(made.kept.tolist()))
    assert len(made.rows) == 25
    assert len(made.queries) == 10
    assert not set(made.queries[:, 0].tolist()) & set(made.kept.tolist())
    rows, queries = encoded
    assert all("gloss" in text for text in rows)
    assert not any("gloss" in text for text in queries)


def test_they_are_encoded_once(encoded):
    first, again = load_gloss_vectors(25), load_gloss_vectors(25)
    np.testing.assert_array_equal(first.rows, again.rows)
    assert len(encoded) == 2
