"""Relative projections of given embeddings: one head for two encoders, and everything that breaks it silently."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase
from spaceform import papers
from spaceform.errors import InputError
from spaceform.methods.transfer import relative_representations
from spaceform.methods.transfer.relative_representations import RelativeProjection, check_same_coordinates

CONTRACT_CASES = {"RelativeProjection": EstimatorCase({"n_anchors": 8, "random_state": 0})}


def expected_failures(estimator):
    return {"check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError"}


@pytest.mark.filterwarnings("ignore:some anchors are equal", "ignore:.*lose information")
@parametrize_with_checks([RelativeProjection(n_anchors=2, random_state=0)], expected_failed_checks=expected_failures)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_every_name_of_the_record_is_here():
    for name in papers.load("relative-representations").classes:
        assert hasattr(relative_representations, name), name


@pytest.fixture(scope="module")
def digits():
    """Pixels with labels, and the same space turned and three times as large."""
    X, y = load_digits(return_X_y=True)
    Q = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]
    return X, 3 * X @ Q, y


def test_a_classifier_of_one_space_works_on_the_other(digits):
    X, Z, y = digits
    train, test = np.arange(1200), np.arange(1200, 1797)
    first = RelativeProjection(n_anchors=100, selection="stratified", random_state=0).fit(X[train], y[train])
    second = RelativeProjection().fit_from_anchors(Z[first.anchor_indices_], indices=first.anchor_indices_)
    check_same_coordinates(first, second)
    here, there = first.transform(X[test]), second.transform(Z[test])
    np.testing.assert_allclose(here, there, atol=1e-10)
    model = KNeighborsClassifier(5).fit(first.transform(X[train]), y[train])
    assert model.score(here, y[test]) == model.score(there, y[test]) > 0.9
    assert KNeighborsClassifier(5).fit(X[train], y[train]).score(Z[test], y[test]) < 0.3


def test_anchors_in_another_order_drop_to_chance_and_are_refused(digits):
    X, _, y = digits
    first = RelativeProjection(n_anchors=100, random_state=0).fit(X[:1200])
    order = np.random.default_rng(1).permutation(first.anchor_indices_)
    shuffled = RelativeProjection(anchors=order).fit(X[:1200])
    model = KNeighborsClassifier(5).fit(first.transform(X[:1200]), y[:1200])
    assert model.score(first.transform(X[1200:]), y[1200:]) > 0.85
    assert model.score(shuffled.transform(X[1200:]), y[1200:]) < 0.35
    for other in (shuffled, RelativeProjection(anchors=order[:50]).fit(X), RelativeProjection(n_anchors=100).fit(X)):
        with pytest.raises(InputError, match="same anchors in the same order"):
            check_same_coordinates(first, other)


def test_centring_makes_shifts_harmless(digits):
    X, Z, _ = digits
    plain, centred = (RelativeProjection(anchors=np.arange(70), center=c) for c in (False, True))
    assert np.abs(plain.fit(X).transform(X) - plain.fit(Z + 9).transform(Z + 9)).max() > 0.05
    np.testing.assert_allclose(centred.fit(X).transform(X), centred.fit(Z + 9).transform(Z + 9), atol=1e-10)


def test_scaling_leaves_columns_that_do_not_vary(digits):
    X, _, _ = digits
    model = RelativeProjection(n_anchors=50, center=True, scale=True, random_state=0).fit(X)
    assert (X.std(0) == 0).any()
    assert (model.scale_ > 0).all()
    assert np.isfinite(model.transform(X)).all()


def test_columns_have_the_names_of_their_anchors(digits):
    model = RelativeProjection(anchors=[5, 2]).fit(digits[0])
    assert model.get_feature_names_out().tolist() == ["anchor_5", "anchor_2"]
    np.testing.assert_allclose(np.diag(model.transform(digits[0][[5, 2]])), 1)


def test_what_loses_information_warns():
    X = np.random.default_rng(0).normal(size=(30, 5))
    with pytest.warns(UserWarning, match="lose information"):
        RelativeProjection(n_anchors=3, random_state=0).fit(X, np.arange(30) % 10)
    with pytest.warns(UserWarning, match="equal"):
        RelativeProjection().fit_from_anchors(X[[0, 0, 1]])
    with pytest.warns(UserWarning, match="span"):
        RelativeProjection(n_anchors=4, closeness="basis", random_state=0).fit(X)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "n_anchors"),
        ({"anchors": [0, 0]}, "anchors"),
        ({"anchors": [0, 99]}, "anchors"),
        ({"n_anchors": 5, "selection": "stratified"}, "y"),
        ({"n_anchors": 5, "selection": "best"}, "selection"),
        ({"n_anchors": 5, "closeness": "near"}, "closeness"),
        ({"anchors": [3]}, "zero vector"),
        ({"anchors": [4], "center": True}, "zero vector"),
    ],
)
def test_bad_wishes_are_refused(options, match):
    X = np.random.default_rng(0).normal(size=(30, 5))
    X[3] = 0
    with pytest.raises(InputError, match=match):
        RelativeProjection(**options).fit(X)


def test_anchors_that_do_not_fit_their_indices_are_refused():
    with pytest.raises(InputError, match="one per index"):
        RelativeProjection().fit_from_anchors(np.eye(3), indices=[4, 7])


def test_it_is_what_the_train_verb_takes(tmp_path):
    from spaceform.space import Space
    from spaceform.workflows.train import train

    X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    space = Space.create(X, attributes={"kind": ["a", "b"] * 20}, label="kind")
    options = {"n_anchors": "12", "selection": "stratified"}
    found = train("relative-representations", space, options=options, out=tmp_path / "relative")
    assert found.space.vectors.shape == (40, 12)
