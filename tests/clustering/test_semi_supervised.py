"""Semi-supervised k-means: labelled rows stay, others may join old classes, and a slow loop as an oracle."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import EstimatorCase, partial_labels
from spaceform.clustering.kmeans import kmeans
from spaceform.clustering.partial import read_partial
from spaceform.clustering.semi_supervised import SemiSupervisedKMeans, cluster_names, semi_supervised_kmeans
from spaceform.errors import InputError
from spaceform.metrics.clustering import split_cluster_accuracy
from spaceform.ops.assignment import agreement

CASE = EstimatorCase({"n_novel": 2, "n_init": 2, "random_state": 0}, partial_labels)


def corners(seed=0, per=20, width=0.4):
    rng = np.random.default_rng(seed)
    places = np.array([[x, y, z] for x in (0, 4) for y in (0, 4) for z in (0, 4)], dtype=float)
    truth = rng.permutation(np.repeat(np.arange(8), per))
    X = places[truth] + rng.normal(scale=width, size=(8 * per, 3))
    seen = (truth < 5) & (rng.random(len(truth)) < 0.5)
    return X, truth, np.where(seen, truth, -1)


class Unlabelled(SemiSupervisedKMeans):
    """Feeds a check's rows without labels."""

    def fit(self, X, y=None):
        return super().fit(X, None)

    def fit_predict(self, X, y=None):
        return super().fit_predict(X, None)


@parametrize_with_checks(
    [Unlabelled(n_novel=1, n_init=1, random_state=0)],
    expected_failed_checks=lambda _: {
        "check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError",
        "check_clustering": "asks for three clusters of an estimator that calls their number n_novel",
    },
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_old_and_new_classes_are_found_together():
    X, truth, y = corners()
    model = SemiSupervisedKMeans(n_novel=3, random_state=0).fit(X, y)
    found = split_cluster_accuracy(truth[y < 0], model.labels_[y < 0], (truth < 5)[y < 0])
    assert min(found.all, found.old, found.new) > 0.97
    assert (model.labels_[(truth < 5) & (y < 0)] == truth[(truth < 5) & (y < 0)]).mean() > 0.97
    assert set(model.labels_[truth >= 5]) <= {5, 6, 7}
    np.testing.assert_array_equal(model.cluster_names_, np.arange(8))


@given(st.integers(0, 10**6), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_labelled_rows_stay_in_their_class_wherever_they_lie(seed, n_novel):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 3))
    y = np.where(rng.random(40) < 0.5, rng.integers(0, 3, 40), -1)
    y[:6] = [4, 4, 9, 9, -1, -1]
    if (y < 0).sum() < n_novel:
        y[-n_novel:] = -1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with one row
        model = SemiSupervisedKMeans(n_novel=n_novel, n_init=2, random_state=seed).fit(X, y)
    assert (model.labels_[y >= 0] == y[y >= 0]).all()
    assert model.cluster_names_[-1] == y.max() + n_novel


def test_every_step_is_that_of_a_slow_loop():
    X, _, y = corners(1, per=6, width=1.5)
    partial = read_partial(y, len(X))
    found = semi_supervised_kmeans(X, partial, 3, n_init=1, random_state=0)
    centers, codes = found.centers, partial.codes
    for i, row in enumerate(X):
        gaps = [((row - center) ** 2).sum() for center in centers]
        assert found.labels[i] == (codes[i] if codes[i] >= 0 else int(np.argmin(gaps)))
    for k in range(len(centers)):
        np.testing.assert_allclose(centers[k], X[found.labels == k].mean(0))
    assert found.inertia == pytest.approx(sum(((X - centers[found.labels]) ** 2).sum(1)))


def test_without_labels_it_is_kmeans():
    X, truth, _ = corners(2)
    model = SemiSupervisedKMeans(n_novel=8, random_state=0).fit(X)
    assert agreement(truth, model.labels_) == agreement(truth, kmeans(X, 8, random_state=0).labels)
    np.testing.assert_array_equal(cluster_names(np.zeros(0, np.int64), 2), [0, 1])


def test_no_new_class_may_be_wanted():
    X, truth, y = corners(3)
    old = truth < 5
    model = SemiSupervisedKMeans(n_novel=0).fit(X[old], y[old])
    assert (model.labels_ == truth[old]).mean() > 0.97


def test_refusals():
    X, _, y = corners()
    for wrong in (-1, 10_000, 2.0, None):
        with pytest.raises(InputError, match="n_novel"):
            SemiSupervisedKMeans(n_novel=wrong).fit(X, y)
    with pytest.raises(InputError, match="n_novel"):
        SemiSupervisedKMeans(n_novel=0).fit(X)
    with pytest.raises(InputError, match="all rows"):
        SemiSupervisedKMeans(n_novel=1).fit(X, np.zeros(len(X), int))
    with pytest.raises(InputError, match="NaN"):
        SemiSupervisedKMeans(n_novel=1).fit(np.where(X > 4, np.nan, X), y)
