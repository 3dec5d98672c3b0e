"""One direction per class: by hand, in parts, beside learned vectors, as scikit-learn wants it, and refused input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import blobs
from spaceform.errors import InputError
from spaceform.heads.novel_classes import NovelClassClassifier


def expected_failures(estimator):
    return {
        "check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError",
        "check_estimators_dtypes": "its integers have a row of zeros, which has no direction",
        "check_classifiers_classes": "its label -1 marks rows without a label here",
    }


@parametrize_with_checks([NovelClassClassifier()], expected_failed_checks=expected_failures)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def at(*degrees):
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def test_by_hand():
    model = NovelClassClassifier(scale=10.0).fit(at(0, 120), ["a", "b"]).partial_fit(at(0, 90), ["n", "n"])
    np.testing.assert_allclose(model.weights_, at(0, 120, 45), atol=1e-12)
    np.testing.assert_allclose(model.decision_function(at(60)), [[5, 5, 10 * np.cos(np.pi / 12)]])
    assert model.predict_proba(at(60))[0, 2] == pytest.approx(0.98141, abs=1e-5)
    assert model.predict(at(60)).tolist() == ["n"]
    assert model.predict(at(59.9, 60.1, 0)).tolist() == ["n", "n", "a"]
    assert model.concentration_.tolist() == pytest.approx([1, 1, 0.5**0.5])


def test_directions_are_those_of_a_slow_loop():
    X, y = blobs()
    X *= np.random.default_rng(1).uniform(0.01, 100, (len(X), 1))
    model = NovelClassClassifier().fit(X, y)
    for label in range(4):
        total = sum(x / np.linalg.norm(x) for x in X[y == label])
        np.testing.assert_allclose(model.weights_[label], total / np.linalg.norm(total))
    cosines = np.array([[x @ w / np.linalg.norm(x) for w in model.weights_] for x in X])
    np.testing.assert_array_equal(model.predict(X), cosines.argmax(1))
    np.testing.assert_allclose(model.predict_proba(X), np.exp(10 * cosines) / np.exp(10 * cosines).sum(1)[:, None])


def test_supports_count_by_direction_not_by_length():
    np.testing.assert_allclose(NovelClassClassifier().fit([[1.0, 0.0], [0.0, 1000.0]], [7, 7]).weights_, at(45))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(0, 3), min_size=48, max_size=48))
def test_parts_in_any_order_equal_the_whole(seed, parts):
    X, y = blobs(seed)
    whole = NovelClassClassifier().fit(X, y)
    grown = NovelClassClassifier()
    for part in range(4):
        rows = np.flatnonzero(np.array(parts) == part)
        if len(rows):
            grown.partial_fit(X[rows], y[rows])
    order = np.argsort(grown.classes_)
    np.testing.assert_array_equal(grown.classes_[order], whole.classes_)
    np.testing.assert_allclose(grown.weights_[order], whole.weights_, atol=1e-12)
    np.testing.assert_array_equal(grown.counts_[order], whole.counts_)


def test_an_added_class_leaves_the_others_alone():
    X, y = blobs(classes=6)
    base = NovelClassClassifier().fit(X[y < 4], y[y < 4])
    before = base.decision_function(X)
    base.partial_fit(X[y >= 4], y[y >= 4])
    np.testing.assert_allclose(base.decision_function(X)[:, :4], before, atol=1e-12)
    assert base.classes_.tolist() == [0, 1, 2, 3, 4, 5]


def test_classes_stand_in_the_order_of_their_addition():
    model = NovelClassClassifier().fit(at(0, 90), ["m", "z"]).partial_fit(at(180), ["longer name"])
    model.partial_fit(at(270, 181), ["a", "longer name"])
    assert model.classes_.tolist() == ["m", "z", "longer name", "a"]
    assert model.counts_.tolist() == [1, 1, 2, 1]
    assert model.predict(at(1, 91, 182, 269)).tolist() == model.classes_.tolist()
    assert model.remove_class("z").predict(at(80)).tolist() == ["m"]


def test_learned_vectors_stay_as_they_are():
    X, y = blobs()
    learned = np.random.default_rng(0).normal(size=(4, 5)) * 3
    model = NovelClassClassifier(init_weights=learned).fit(X, y)
    unit = learned / np.linalg.norm(learned, axis=1, keepdims=True)
    np.testing.assert_allclose(model.weights_, unit)
    model.partial_fit(X[:5] + 9, [8] * 5)
    np.testing.assert_allclose(model.weights_[:4], unit)
    assert model.learned_.tolist() == [True] * 4 + [False]
    with pytest.raises(InputError, match="learned"):
        model.partial_fit(X[:1], [0])
    np.testing.assert_allclose(model.remove_class(1).weights_[:3], unit[[0, 2, 3]])


def test_digits_are_added_without_training():
    X, y = load_digits(return_X_y=True)
    half = np.arange(len(X)) % 2 == 0
    base = NovelClassClassifier().fit(X[half & (y < 8)], y[half & (y < 8)])
    grown = base.partial_fit(X[half & (y >= 8)], y[half & (y >= 8)])
    assert grown.score(X[~half], y[~half]) > 0.85


def test_scale_changes_probabilities_and_never_the_answer():
    X, y = blobs(2)
    soft, sharp = (NovelClassClassifier(scale=scale).fit(X, y) for scale in (1.0, 1000.0))
    np.testing.assert_array_equal(soft.predict(X), sharp.predict(X))
    assert np.isfinite(sharp.predict_proba(X)).all()
    assert sharp.predict_proba(X).max(1).mean() > soft.predict_proba(X).max(1).mean()


def test_rows_without_a_label_are_left_out():
    X, y = blobs()
    some = np.where(np.arange(len(y)) % 3 == 0, -1, y)
    model = NovelClassClassifier().fit(X, some)
    np.testing.assert_allclose(model.weights_, NovelClassClassifier().fit(X[some >= 0], some[some >= 0]).weights_)


def test_a_refused_update_changes_nothing():
    model = NovelClassClassifier().fit(at(0, 90), [0, 1])
    before = {name: value.copy() for name, value in vars(model).items() if isinstance(value, np.ndarray)}
    with pytest.raises(InputError, match="balance out"):
        model.partial_fit(at(180), [0])
    assert all(np.array_equal(value, before[name]) for name, value in vars(model).items() if name in before)


@pytest.mark.parametrize(
    ("work", "name"),
    [
        (lambda: NovelClassClassifier(scale=0).fit(at(0), [0]), "scale"),
        (lambda: NovelClassClassifier().fit([[0.0, 0.0]], [0]), "zero vector"),
        (lambda: NovelClassClassifier().fit(at(0, 180), [0, 0]), "X: .*balance out"),
        (lambda: NovelClassClassifier().fit(at(0), [-1]), "y: got no label"),
        (lambda: NovelClassClassifier(init_weights=at(0)).fit(at(0, 90), [0, 1]), "init_weights"),
        (lambda: NovelClassClassifier(init_weights=[[0, 0], [1, 0]]).fit(at(0, 90), [0, 1]), "init_weights"),
        (lambda: NovelClassClassifier().fit(at(0, 90), [0, 1]).partial_fit(at(0), ["a"]), "y: got labels of dtype"),
        (lambda: NovelClassClassifier().fit(at(0, 90), [0, 1]).partial_fit(np.eye(3), [2, 3, 4]), "features"),
        (lambda: NovelClassClassifier().partial_fit(at(0), [0], classes=[1]), "labels outside classes"),
        (lambda: NovelClassClassifier().fit(at(0), [0]).remove_class(0), "last class"),
        (lambda: NovelClassClassifier().fit(at(0, 90), [0, 1]).remove_class(2), "label"),
    ],
)
def test_what_does_not_fit_is_refused(work, name):
    with pytest.raises(ValueError, match=name):
        work()
