"""FaceNet as an encoder: learns, resumes, is saved and found again, refuses what does not fit."""

import json

import numpy as np
import pytest

from spaceform.errors import InputError, NoPairsError, SpaceFormatError
from spaceform.methods.metric_learning.facenet import FaceNet
from spaceform.metrics.retrieval import recall_at_k

SMALL = {"embedding_dim": 8, "classes_per_batch": 8, "samples_per_class": 3}


@pytest.fixture(scope="module")
def drawn():
    """Twenty classes of five noisy stripes; class = position and colour of the stripe."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(20), 5)
    X = rng.integers(0, 60, size=(100, 16, 16, 3))
    for row, code in zip(X, y, strict=True):
        row[:, 2 + 3 * (code % 4) : 5 + 3 * (code % 4), code // 4 % 3] += 150
        row[3 * (code // 7) : 3 * (code // 7) + 3] += 40
    return X.clip(0, 255).astype(np.uint8), y


@pytest.fixture(scope="module")
def trained(drawn):
    return FaceNet(**SMALL, steps=40, augment=False).fit(*drawn)


def test_training_beats_no_training(drawn, trained):
    X, y = drawn
    untrained = FaceNet(**SMALL, steps=0).fit(X, y)
    before, after = (recall_at_k(encoder.transform(X), y, ks=(1,))[1] for encoder in (untrained, trained))
    assert after > before + 0.1


def test_vectors_are_of_unit_length_and_independent_of_the_batch(drawn, trained):
    X, _ = drawn
    vectors = trained.transform(X)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(trained.encode(X[:7], batch_size=2), vectors[:7], atol=1e-5)


def test_a_killed_fit_goes_on_and_ends_the_same(drawn, tmp_path):
    whole = FaceNet(**SMALL, steps=8).fit(*drawn)

    def kill(task, done, total, figures=None):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FaceNet(**SMALL, steps=8).fit(*drawn, checkpoint=tmp_path / "c", progress=kill)
    resumed = FaceNet(**SMALL, steps=8).fit(*drawn, checkpoint=tmp_path / "c")
    assert resumed.fingerprint == whole.fingerprint


def test_saved_and_found_again(drawn, trained, tmp_path):
    trained.save(tmp_path)
    again = FaceNet.load(tmp_path)
    np.testing.assert_array_equal(again.transform(drawn[0]), trained.transform(drawn[0]))
    assert again.get_params() == trained.get_params()
    assert not list(tmp_path.glob("*.pkl"))


def test_changed_files_are_refused(drawn, trained, tmp_path):
    trained.save(tmp_path)
    record = json.loads((tmp_path / "encoder.json").read_text())
    (tmp_path / "encoder.json").write_text(json.dumps(record | {"fingerprint": "other"}))
    with pytest.raises(SpaceFormatError, match="not those"):
        FaceNet.load(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"half")
    with pytest.raises(SpaceFormatError, match="can be read"):
        FaceNet.load(tmp_path)
    with pytest.raises(SpaceFormatError):
        FaceNet.load(tmp_path / "gone")


def test_labels_may_be_words_and_hidden_rows_are_never_drawn(drawn):
    X, y = drawn
    words = np.array([f"kind {code}" for code in y])
    assert FaceNet(**SMALL, steps=1).fit(X, words).classes_[0] == "kind 0"
    hidden = np.where(y < 3, -1, y)
    assert -1 not in FaceNet(**SMALL, steps=1).fit(X, hidden).classes_


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda X, y: (X.astype(float), y), "uint8"),
        (lambda X, y: (X[:, :8], y), "X"),
        (lambda X, y: (X, y[:-1]), "y"),
        (lambda X, y: (X[:0], y[:0]), "X"),
    ],
)
def test_pictures_that_do_not_fit(drawn, change, words):
    with pytest.raises(InputError, match=words):
        FaceNet(**SMALL, steps=1).fit(*change(*drawn))


def test_one_class_and_no_pairs(drawn):
    X, _ = drawn
    for y in (np.zeros(100, dtype=int), np.arange(100)):
        with pytest.raises(NoPairsError):
            FaceNet(**SMALL, steps=1).fit(X, y)


def test_other_sizes_are_refused_when_encoding(trained):
    with pytest.raises(InputError, match="as in fit"):
        trained.transform(np.zeros((1, 20, 20, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "settings", [{"margin": 0.0}, {"steps": -1}, {"optimizer": "sgd"}, {"learning_rate": 0.0}, {"random_state": -1}]
)
def test_settings_are_checked(drawn, settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        FaceNet(**{**SMALL, "steps": 1, **settings}).fit(*drawn)
