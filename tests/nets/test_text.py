"""The text encoder on a tiny random transformer made here, and on MiniLM where it can be had."""

import json

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.nets.text import TextEncoder

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT with one layer of width 16 and a word-level vocabulary."""
    import torch

    path = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "sun", "rain", "a", "the"]
    (path / "vocab.txt").write_text("\n".join(words))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        )
        transformers.BertModel(config).save_pretrained(path)
    transformers.BertTokenizerFast(str(path / "vocab.txt")).save_pretrained(path)
    return path


def test_unit_vectors_whatever_the_batch(folder):
    encoder = TextEncoder(folder)
    texts = ["cat", "the dog", "a cat a dog a sun", "rain " * 40]
    vectors = encoder.encode(texts)
    assert vectors.shape == (4, 16) == (4, encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(texts, batch_size=1), vectors, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(texts[::-1])[::-1], vectors, atol=1e-5)


def test_progress_ends_whole(folder):
    seen = []
    TextEncoder(folder).encode(["cat"] * 5, batch_size=2, progress=lambda task, done, total: seen.append((done, total)))
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_saved_and_found_again(folder, tmp_path):
    encoder = TextEncoder(folder, max_tokens=32)
    encoder.save(tmp_path / "encoder")
    again = TextEncoder.load(tmp_path / "encoder")
    assert again.fingerprint == encoder.fingerprint
    assert again.max_tokens == 32
    record = json.loads((tmp_path / "encoder" / "encoder.json").read_text())
    (tmp_path / "encoder" / "encoder.json").write_text(json.dumps(record | {"fingerprint": "other"}))
    with pytest.raises(InputError, match="build again"):
        TextEncoder.load(tmp_path / "encoder")


@pytest.mark.parametrize("texts", [[], ["cat", None], [1.5]])
def test_only_texts(folder, texts):
    with pytest.raises(InputError, match="texts"):
        TextEncoder(folder).encode(texts)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(InputError, match="model"):
        TextEncoder(tmp_path)


@pytest.mark.network
def test_minilm_knows_what_is_near():
    encoder = TextEncoder("minilm")
    cat, kitten, tax = encoder.encode(["a cat", "a kitten", "tax law"])
    assert encoder.dim == 384
    assert cat @ kitten > 0.6 > cat @ tax


def test_tokens_are_unit_vectors_without_the_added_marks(folder):
    encoder = TextEncoder(folder)
    texts = ["the dog", "cat", "a cat a dog a sun", ""]
    found = encoder.encode_tokens(texts, batch_size=3)
    assert [len(one) for one in found] == [2, 1, 6, 2]  # without any token the marks stay
    for one, alone in zip(found, [encoder.encode_tokens([text])[0] for text in texts], strict=True):
        np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(one, alone, atol=1e-5)
    with pytest.raises(InputError, match="texts"):
        encoder.encode_tokens([])
