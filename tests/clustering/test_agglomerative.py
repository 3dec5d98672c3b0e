"""Clustering by a threshold on squared distances: scikit-learn as the oracle, numbering, refusals."""

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from spaceform.clustering.agglomerative import AgglomerativeThreshold
from spaceform.errors import InputError


def rows(n=60, d=6, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(5, d))
    return centres[np.arange(n) % 5] + 0.2 * rng.normal(size=(n, d))


@pytest.mark.parametrize("linkage", ["average", "complete", "single"])
@pytest.mark.parametrize("threshold", [0.05, 0.2, 1.0])
def test_equals_scikit_learn_on_squared_distances(linkage, threshold):
    X = rows()
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    squares = ((unit[:, None] - unit[None]) ** 2).sum(2)
    theirs = AgglomerativeClustering(
        n_clusters=None, distance_threshold=threshold, metric="precomputed", linkage=linkage
    ).fit_predict(squares)
    ours = AgglomerativeThreshold(threshold=threshold, linkage=linkage).fit(X)
    assert adjusted_rand_score(theirs, ours.labels_) == 1
    assert ours.n_clusters_ == theirs.max() + 1


def test_finds_the_classes_and_numbers_them_by_first_appearance():
    found = AgglomerativeThreshold(threshold=0.3).fit_predict(rows(d=30))
    assert found[:5].tolist() == [0, 1, 2, 3, 4]
    assert adjusted_rand_score(np.arange(60) % 5, found) == 1


def test_without_unit_length_the_threshold_is_in_squared_units():
    X = np.array([[0.0], [1.0], [10.0]])
    assert AgglomerativeThreshold(threshold=1.0, normalize=False).fit_predict(X).tolist() == [0, 0, 1]
    assert AgglomerativeThreshold(threshold=0.9, normalize=False).fit_predict(X).tolist() == [0, 1, 2]


def test_one_row_is_one_cluster():
    assert AgglomerativeThreshold().fit_predict(np.ones((1, 3))).tolist() == [0]


@pytest.mark.parametrize(("name", "value"), [("threshold", 0), ("threshold", 4.1), ("linkage", "ward")])
def test_bad_settings_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        AgglomerativeThreshold(**{name: value}).fit(rows())


def test_zero_vectors_are_refused():
    with pytest.raises(InputError, match="zero vector"):
        AgglomerativeThreshold().fit(np.zeros((3, 2)))


def expected_failures(estimator):
    return {"check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError"}


@parametrize_with_checks([AgglomerativeThreshold(normalize=False)], expected_failed_checks=expected_failures)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)
