import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestCentroid
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import blobs
from spaceform.errors import InputError
from spaceform.heads.distance import DistanceHead
from spaceform.heads.open_set import OpenSetPrototypeClassifier


def expected_failures(estimator):
    return {
        "check_classifiers_classes": "a class -1 is refused: that is the answer for rows of no class",
        "check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError",
    }


CHECKED = [OpenSetPrototypeClassifier(), OpenSetPrototypeClassifier(score_by="msp", temperature=4.0)]


@parametrize_with_checks(CHECKED, expected_failed_checks=expected_failures)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_without_a_threshold_it_is_the_nearest_centroid(seed):
    X, y = blobs(seed)
    model = OpenSetPrototypeClassifier().fit(X, y)
    assert np.array_equal(model.predict(X), NearestCentroid().fit(X, y).predict(X))
    assert np.array_equal(model.predict(X), model.predict_known(X))


def test_the_fitted_threshold_keeps_what_leave_one_out_says():
    X, y = blobs(3, rows=20)
    model = OpenSetPrototypeClassifier(threshold="fit").fit(X, y)
    scores = []
    for row in range(len(X)):
        rest = np.arange(len(X)) != row
        means = np.stack([X[rest & (y == c)].mean(0) for c in np.unique(y)])
        scores.append(-((X[row] - means) ** 2).sum(1).min())
    assert model.threshold_ == pytest.approx(np.quantile(scores, 0.05), rel=1e-9)
    assert (model.predict(X + 50) == -1).all()
    assert (model.predict(X) != -1).mean() >= 0.9


def test_a_threshold_from_labelled_unknown_rows_divides_best():
    X, y = blobs(4, classes=6)
    known = y < 3
    model = OpenSetPrototypeClassifier().fit(X[known], y[known])
    model.fit_threshold(X, np.where(known, y, -1))
    said = model.predict(X) != -1

    def balanced(threshold):
        accepted = model.score_samples(X) >= threshold
        return accepted[known].mean() + (~accepted[~known]).mean()

    assert said[known].mean() + (~said[~known]).mean() == pytest.approx(max(map(balanced, model.score_samples(X))))
    with pytest.raises(InputError, match="kind"):
        model.fit_threshold(X[known], y[known])


def test_classes_that_are_text_get_text_for_unknown():
    X, y = blobs(5)
    model = OpenSetPrototypeClassifier(threshold="fit", unknown_label="none of them").fit(X, np.array(list("abcd"))[y])
    assert set(model.predict(np.vstack([X, X + 90]))) == {*"abcd", "none of them"}
    assert OpenSetPrototypeClassifier(threshold=0.0).fit(X, np.array(list("abcd"))[y]).predict(X)[0] == "-1"


def test_a_trained_head_scores_by_sorted_distances():
    X, y = blobs(6)
    torch.manual_seed(0)
    head = DistanceHead(4)
    model = OpenSetPrototypeClassifier(score_by="head", head=head, threshold=0.5, temperature=9.0).fit(X, y)
    distances = torch.from_numpy(((X[:, None] - model.prototypes_) ** 2).sum(2) / 9).float()
    expected = head(distances).softmax(1)[:, 1].detach().numpy()
    np.testing.assert_allclose(model.score_samples(X), expected, atol=1e-6)
    renamed = OpenSetPrototypeClassifier(score_by="head", head=head, threshold=0.5, temperature=9.0).fit(X, 3 - y)
    np.testing.assert_allclose(renamed.score_samples(X), model.score_samples(X), atol=1e-6)
    with pytest.raises(InputError, match="classes"):
        OpenSetPrototypeClassifier(score_by="head", head=head).fit(X[y < 3], y[y < 3]).score_samples(X)


def test_what_does_not_fit_is_refused():
    X, y = blobs(7)
    for settings_, labels, name in (
        ({}, np.zeros_like(y), "two classes"),
        ({}, y - 1, "unknown_label"),
        ({"score_by": "entropy"}, y, "score_by"),
        ({"score_by": "head"}, y, "head"),
        ({"temperature": 0.0}, y, "temperature"),
        ({"threshold": "high"}, y, "threshold"),
    ):
        with pytest.raises(InputError, match=name):
            OpenSetPrototypeClassifier(**settings_).fit(X, labels)
    with pytest.raises(InputError, match="one row per class"):
        OpenSetPrototypeClassifier(threshold="fit").fit(X[:2], [0, 1])
