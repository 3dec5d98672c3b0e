import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestCentroid
from sklearn.utils.estimator_checks import parametrize_with_checks

from contracts.cases import blobs
from spaceform.errors import InputError
from spaceform.heads.multi_scale import MultiScalePrototypeHead
from spaceform.heads.prototype_classifier import MultiScalePrototypeClassifier


def expected_failures(estimator):
    return {"check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError"}


@parametrize_with_checks([MultiScalePrototypeClassifier()], expected_failed_checks=expected_failures)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def test_with_one_space_it_is_the_nearest_centroid():
    X, y = blobs(3, classes=5)
    for metric in ("euclidean", "squared"):
        model = MultiScalePrototypeClassifier(metric=metric).fit(X[::2], y[::2])
        np.testing.assert_array_equal(model.predict(X), NearestCentroid().fit(X[::2], y[::2]).predict(X))


def test_scores_are_the_logits_of_the_head():
    X, y = blobs(1)
    scales, weights = [(0, 2), (2, 3), (3, 5)], [0.5, 2.0, 1.0]
    model = MultiScalePrototypeClassifier(scale_slices=scales, weights=weights).fit(X[:30], y[:30])
    parts = [torch.from_numpy(X[:, first:last]) for first, last in scales]
    head = MultiScalePrototypeHead(3, init=weights)
    logits = head([p[:30] for p in parts], torch.from_numpy(y[:30]), [p[30:] for p in parts]).detach()
    np.testing.assert_allclose(model.decision_function(X[30:]), logits.numpy(), atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(X[30:]), logits.softmax(1).numpy(), atol=1e-9)


def test_a_list_of_arrays_slices_and_pairs_are_the_same_spaces():
    X, y = blobs()
    expected = MultiScalePrototypeClassifier(scale_slices=[(0, 2), (2, 5)]).fit(X, y)
    slices = MultiScalePrototypeClassifier(scale_slices=[slice(2), slice(2, None)]).fit(X, y)
    parts = MultiScalePrototypeClassifier().fit([X[:, :2], X[:, 2:]], y)
    assert parts.scales_.tolist() == slices.scales_.tolist() == [[0, 2], [2, 5]]
    np.testing.assert_array_equal(slices.predict_proba(X), expected.predict_proba(X))
    np.testing.assert_array_equal(parts.predict_proba([X[:, :2], X[:, 2:]]), expected.predict_proba(X))


def test_distances_are_not_squared_and_weights_count():
    X, y = [[3.0, 4.0], [0.0, 1.0]], [0, 1]
    assert MultiScalePrototypeClassifier().fit(X, y).decision_function([[0.0, 0.0]]).tolist() == [4.0]
    squared = MultiScalePrototypeClassifier(metric="squared").fit(X, y)
    assert squared.decision_function([[0.0, 0.0]]).tolist() == [24.0]
    one = MultiScalePrototypeClassifier(scale_slices=[(0, 1), (1, 2)], weights=[1, 0]).fit(X, y)
    assert one.decision_function([[0.0, 9.0]]).tolist() == [3.0]


def test_names_and_types_are_kept():
    X, y = blobs()
    names = np.array(["ant", "bee", "cat", "dog"])[y]
    model = MultiScalePrototypeClassifier().fit(X.astype(np.float32), names)
    assert model.predict(X[:3]).tolist() == names[:3].tolist()
    assert model.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert model.predict_proba(X).dtype == np.float64


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"scale_slices": []}, "scale_slices"),
        ({"scale_slices": [(0, 6)]}, "scale_slices"),
        ({"scale_slices": [(2, 2)]}, "scale_slices"),
        ({"scale_slices": [(0, 2, 4)]}, "scale_slices"),
        ({"scale_slices": [(-1, 2)]}, "scale_slices"),
        ({"weights": [1.0, 2.0]}, "weights"),
        ({"weights": [-1.0]}, "weights"),
        ({"weights": [0.0]}, "weights"),
        ({"weights": [np.nan]}, "weights"),
        ({"weights": "equal"}, "weights"),
        ({"metric": "cosine"}, "metric"),
    ],
)
def test_settings_are_checked(options, name):
    with pytest.raises(InputError, match=name):
        MultiScalePrototypeClassifier(**options).fit(*blobs())


def test_rows_that_do_not_fit_are_refused():
    X, y = blobs()
    with pytest.raises(InputError, match="at least two classes"):
        MultiScalePrototypeClassifier().fit(X, np.zeros(len(X)))
    with pytest.raises(InputError, match="equally many"):
        MultiScalePrototypeClassifier().fit([X, X[:-1]], y)
    with pytest.raises(InputError, match="target y is None"):
        MultiScalePrototypeClassifier().fit(X, None)
