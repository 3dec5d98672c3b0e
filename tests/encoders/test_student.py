"""A student: labels, lessons, and a run that was broken off."""

import numpy as np
import pytest
import torch

from spaceform.encoders.held_out_accuracy import HeldOutAccuracy
from spaceform.encoders.student import Lesson, StudentClassifier
from spaceform.errors import InputError, SpaceFormatError
from spaceform.losses.distillation.embedding import EmbeddingDistillation
from spaceform.losses.distillation.soft_labels import KnowledgeDistillation

FAST = {"embedding_dim": 8, "steps": 40, "batch_size": 20}


class BrokenOffError(Exception):
    """Breaks a run off."""


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    return (2 * rng.normal(size=(3, 5))[y] + rng.normal(size=(120, 5))).astype(np.float32), y


def test_it_learns_labels_and_answers_what_they_were(rows):
    X, y = rows
    student = StudentClassifier(**FAST).fit(X, np.array(["a", "b", "c"])[y])
    assert (student.predict(X) == np.array(["a", "b", "c"])[y]).mean() > 0.8
    np.testing.assert_allclose(student.predict_proba(X).sum(1), 1)
    embeddings, logs = student.outputs(X)
    np.testing.assert_allclose(np.exp(logs), student.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(
        embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), student.transform(X), atol=1e-5
    )
    assert student.head_weight.shape == (3, 8)
    assert student.n_parameters == sum(p.numel() for p in student.net_.parameters())


def test_a_lesson_teaches_rows_without_labels(rows):
    X, y = rows
    logits = 5 * np.eye(3, dtype=np.float32)[y]
    hidden = np.where(np.arange(120) < 9, y, -1)
    student = StudentClassifier(**FAST).fit(X, hidden, lesson=Lesson(logits, KnowledgeDistillation(temperature=1)))
    assert (student.predict(X) == y).mean() > 0.8


def test_what_a_lesson_learns_itself_is_trained(rows):
    X, y = rows
    loss = EmbeddingDistillation(student_width=8, teacher_width=5)
    before = loss.projection.weight.detach().clone()
    StudentClassifier(**FAST).fit(X, y, lesson=Lesson(X, loss, embeddings=True))
    assert not torch.equal(before, loss.projection.weight)


def test_a_broken_run_ends_as_an_unbroken_one(rows, tmp_path):
    X, y = rows
    lesson = Lesson(5 * np.eye(3, dtype=np.float32)[y], KnowledgeDistillation())

    def fitted(folder=None, stop_at=None):
        student = StudentClassifier(**FAST)
        looks = HeldOutAccuracy(student, X[:30], y[:30], every=8)

        def breaks(step, figures):
            if step == stop_at:
                raise BrokenOffError

        student.fit(X, y, lesson=lesson, checkpoint=folder, every=8, callbacks=[looks, breaks])
        looks.restore()
        return student, looks

    with pytest.raises(BrokenOffError):
        fitted(tmp_path / "c", stop_at=21)
    (resumed, seen), (whole, expected) = fitted(tmp_path / "c"), fitted()
    assert resumed.fingerprint == whole.fingerprint
    assert (seen.steps, seen.accuracy, seen.best_step) == (expected.steps, expected.accuracy, expected.best_step)
    assert seen.steps[-1] == 40


def test_looks_stop_and_keep_the_best(rows):
    X, y = rows
    student = StudentClassifier(**FAST)
    looks = HeldOutAccuracy(student, X, np.full(120, 7), every=2, patience=3)
    looks.load_state_dict({"accuracy": [1.0], "steps": [0], "best_step": 0, "best": {}})
    student.fit(X, y, callbacks=[looks])
    assert student.history_.stopped == "no better on held-out rows since step 0"
    assert looks.steps == [0, 2, 4, 6]


def test_it_is_saved_and_found_again(rows, tmp_path):
    X, y = rows
    student = StudentClassifier(**FAST | {"n_subclasses": 2}).fit(X, y)
    student.save(tmp_path)
    again = StudentClassifier.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(X), student.predict_proba(X))
    (tmp_path / "encoder.json").write_text((tmp_path / "encoder.json").read_text().replace(student.fingerprint, "0"))
    with pytest.raises(SpaceFormatError):
        StudentClassifier.load(tmp_path)


def test_one_class_and_targets_for_other_rows_are_refused(rows):
    X, y = rows
    with pytest.raises(InputError, match="two or more"):
        StudentClassifier(**FAST).fit(X, np.zeros(120))
    with pytest.raises(InputError, match="lesson"):
        StudentClassifier(**FAST).fit(X, y, lesson=Lesson(np.zeros((119, 3)), KnowledgeDistillation()))
