"""Cr-KD as an estimator: the contract of discovery, what is answered, what is saved, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from contracts.cases import EstimatorCase, partial_labels
from spaceform.data.generators.tree import make_tree_classes
from spaceform.errors import InputError
from spaceform.methods.class_discovery.crkd_ncd import CrKDNCD, relation_drift
from spaceform.metrics.clustering import hungarian_accuracy
from spaceform.training.threads import one_thread

QUICK = {"n_novel": 2, "n_heads": 2, "embedding_dim": 8, "epochs": 2, "net": "mlp"}

CONTRACT_CASES = {"CrKDNCD": EstimatorCase(QUICK, partial_labels)}


def corners(rows: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows around the ends of six axes: inputs, truth, and labels of which the classes 4 and 5 are hidden."""
    truth = np.repeat(np.arange(6), rows)
    X = 6 * np.eye(6)[truth] + np.random.default_rng(seed).normal(size=(6 * rows, 6))
    return X, truth, np.where(truth < 4, truth + 10, -1)


@pytest.fixture(scope="module")
def fitted() -> CrKDNCD:
    X, _, y = corners()
    with one_thread():
        return CrKDNCD(**QUICK | {"epochs": 30, "batch_size": 60}).fit(X, y)


def test_finds_the_novel_classes_and_knows_the_known(fitted: CrKDNCD) -> None:
    _, truth, y = corners()
    assert hungarian_accuracy(truth[y < 0], fitted.labels_[y < 0]) > 0.9
    assert (fitted.labels_[y >= 0] == -1).all()
    fresh, truth, _ = corners(seed=1)
    assert hungarian_accuracy(truth, fitted.predict_all(fresh)) > 0.85
    known = truth < 4
    assert (fitted.predict_known(fresh[known]) == truth[known] + 10).mean() > 0.9


def test_answers_have_their_ranges(fitted: CrKDNCD) -> None:
    X, _, y = corners()
    assert set(fitted.predict(X)) <= {0, 1}
    np.testing.assert_array_equal(fitted.predict(X)[y < 0], fitted.labels_[y < 0])
    assert set(fitted.predict_all(X)) <= set(range(6))
    np.testing.assert_array_equal(fitted.classes_, [10, 11, 12, 13])
    relation = fitted.class_relation(X)
    assert relation.shape == (120, 4)
    np.testing.assert_allclose(relation.sum(1), 1, rtol=1e-5)
    assert (fitted.n_known_, fitted.n_novel_) == (4, 2)
    assert fitted.best_head_ == int(np.argmin(fitted.head_losses_))
    np.testing.assert_array_equal(fitted.predict(X), fitted.predict(X, head=fitted.best_head_))
    np.testing.assert_allclose(np.linalg.norm(fitted.transform(X), axis=1), 1, rtol=1e-5)


def test_the_student_starts_as_the_teacher_and_stays_nearer_with_distillation() -> None:
    X, _, y = corners()
    at_rest = CrKDNCD(**QUICK | {"epochs": 0}).fit(X, y)
    np.testing.assert_array_equal(at_rest.class_relation(X), at_rest.class_relation(X, teacher=True))
    drifts = []
    for alpha in (0.0, 1.0):
        model = CrKDNCD(**QUICK | {"epochs": 20, "batch_size": 60, "alpha": alpha}).fit(X, y)
        hidden = X[y < 0]
        drifts.append(relation_drift(model.class_relation(hidden, teacher=True), model.class_relation(hidden)))
    assert drifts[1] < 0.7 * drifts[0]


def test_a_saved_model_answers_alike(fitted: CrKDNCD, tmp_path) -> None:
    X, _, _ = corners(seed=2)
    fitted.save(tmp_path)
    loaded = CrKDNCD.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict_all(X), fitted.predict_all(X))
    np.testing.assert_array_equal(loaded.class_relation(X), fitted.class_relation(X))
    assert loaded.best_head_ == fitted.best_head_
    with pytest.raises(InputError, match="teacher"):
        loaded.class_relation(X, teacher=True)


def test_the_number_of_novel_classes_may_be_estimated(tmp_path) -> None:
    X, _, y = corners()
    model = CrKDNCD(**QUICK | {"n_novel": None, "epochs": 10, "batch_size": 60}).fit(X, y)
    assert model.sweep_ is not None
    assert model.n_novel_ == model.sweep_.best
    assert set(model.labels_[y < 0]) <= set(range(model.n_novel_))
    model.save(tmp_path)
    assert CrKDNCD.load(tmp_path).n_novel_ == model.n_novel_


def test_views_are_the_users_and_are_asked_for_rows() -> None:
    tree = make_tree_classes(8, branching=(3, 2), scales=(3, 1.5), random_state=0)
    y = np.where(tree.labels < 4, tree.labels, -1)
    asked = []

    def view(rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        asked.append(rows)
        return tree.views(rows, generator)

    CrKDNCD(**QUICK).fit(tree.X, y, view_fn=view)
    assert {int(row) for row in asked[0]} == set(range(32))  # known rows in the first stage
    assert {int(row) for row in asked[-1]} == set(range(48))
    assert len(asked) == 2 * (1 + 2)
    with pytest.raises(InputError, match="view_fn"):
        CrKDNCD(**QUICK).fit(tree.X, y, view_fn=lambda rows, generator: tree.X[:1])


def test_pictures_are_taken_too() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (24, 16, 16), dtype=np.uint8)
    y = np.repeat([0, 1, -1], 8)
    model = CrKDNCD(n_novel=2, n_heads=1, embedding_dim=8, net="conv:0.25", epochs=1).fit(pictures, y)
    assert model.predict(pictures).shape == (24,)


@given(st.permutations(range(4)))
@hypothesis_settings(max_examples=3, deadline=None)
def test_names_of_known_classes_do_not_matter(order: list[int]) -> None:
    X, _, y = corners(rows=8)
    renamed = np.where(y >= 0, 100 + 7 * np.array([*order])[np.maximum(y - 10, 0)], -1)
    model = CrKDNCD(**QUICK).fit(X, renamed)
    assert model.classes_.tolist() == [100, 107, 114, 121]
    assert set(model.labels_[y < 0]) <= {0, 1}


@pytest.mark.parametrize(
    ("options", "labels", "name"),
    [
        ({"n_novel": 1}, None, "n_novel"),
        ({"n_novel": 0}, None, "n_novel"),
        ({"n_novel": 41}, None, "n_novel"),
        ({"alpha": -0.1}, None, "alpha"),
        ({"temperature": 0.0}, None, "temperature"),
        ({"distillation_temperature": 0.0}, None, "distillation_temperature"),
        ({"weight": "some"}, None, "weight"),
        ({"n_heads": 0}, None, "n_heads"),
        ({"epochs": -1}, None, "epochs"),
        ({"batch_size": 1}, None, "batch_size"),
        ({"learning_rate": 0.0}, None, "learning_rate"),
        ({}, np.zeros(120, dtype=int), "labels on all rows"),
        ({}, np.full(120, -1), "no labelled row"),
        ({}, np.repeat([3, -1], 60), "known classes"),
        ({}, np.zeros(7, dtype=int), "y"),
    ],
)
def test_bad_input_is_refused(options: dict, labels: np.ndarray | None, name: str) -> None:
    X, _, y = corners()
    with pytest.raises(InputError, match=name):
        CrKDNCD(**QUICK | options).fit(X, y if labels is None else labels)


def test_missing_values_and_other_widths_are_refused(fitted: CrKDNCD) -> None:
    X, _, y = corners()
    broken = X.copy()
    broken[3, 1] = np.nan
    with pytest.raises(InputError, match="NaN"):
        CrKDNCD(**QUICK).fit(broken, y)
    with pytest.raises(ValueError, match="features"):
        fitted.predict(X[:, :5])
    with pytest.raises(InputError, match="head"):
        fitted.predict(X, head=2)


def test_the_global_generator_is_left_alone() -> None:
    X, _, y = corners(rows=8)
    state = torch.get_rng_state()
    CrKDNCD(**QUICK).fit(X, y)
    assert torch.equal(state, torch.get_rng_state())
