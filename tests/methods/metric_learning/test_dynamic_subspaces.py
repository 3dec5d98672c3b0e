"""Dynamic subspaces as an estimator on vectors: learns, grows, counts its learners, refuses what does not fit."""

import numpy as np
import pytest
import torch

from contracts.cases import EstimatorCase, LossCase, full_labels
from spaceform.errors import InputError, NoPairsError
from spaceform.methods.metric_learning.dynamic_subspaces import DynamicSubspaceMetric
from spaceform.metrics.retrieval import recall_at_k

CONTRACT_CASES = {
    "DynamicSubspaceMetric": EstimatorCase(
        {"n_components": 12, "epochs": 3, "patience": 1, "random_state": 0}, full_labels
    ),
    "MarginLoss": LossCase(),
}

QUICK = {"n_components": 16, "epochs": 12, "patience": 1, "learning_rate": 1e-2, "random_state": 0}


def looks(n=160, seed=0):
    """Four classes of two looks each in 3 of 12 dimensions; the others are louder noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    X = 3 * rng.normal(size=(n, 12))
    places = np.random.default_rng(7).normal(size=(8, 3)) * 2
    X[:, :3] = places[y + 4 * rng.integers(0, 2, n)] + 0.4 * rng.normal(size=(n, 3))
    return X, y


@pytest.fixture(scope="module")
def fitted():
    return DynamicSubspaceMetric(**QUICK).fit(*looks())


def test_it_grows_and_finds_what_the_given_space_hides(fitted):
    X, y = looks(seed=1)
    vectors = fitted.transform(X)
    assert fitted.n_learners_ == len(fitted.slices_) > 1
    assert [j for part in fitted.slices_ for j in part] == list(range(16))
    assert vectors.shape == (160, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose((vectors**2).sum(1), fitted.n_learners_, atol=1e-4)
    assert recall_at_k(vectors, y, ks=(1,))[1] > recall_at_k(X, y, ks=(1,))[1] + 0.1


def test_a_fixed_number_of_learners_stays():
    model = DynamicSubspaceMetric(**{**QUICK, "dynamic": False, "n_learners": 3, "epochs": 2}).fit(*looks())
    assert [len(part) for part in model.slices_] == [5, 5, 6]
    assert model.history_.splits == []
    assert len(model.history_.score) == 2


def test_unlabelled_rows_change_nothing_and_labels_may_be_words(fitted):
    X, y = looks()
    more = np.concatenate([X, np.full((5, 12), 9.0)])
    hidden = DynamicSubspaceMetric(**QUICK).fit(more, np.concatenate([y, [-1] * 5]))
    np.testing.assert_array_equal(hidden.transform(X), fitted.transform(X))
    words = DynamicSubspaceMetric(**QUICK).fit(X, np.array(["ant", "bee", "cat", "dog"])[y])
    assert words.classes_.tolist() == ["ant", "bee", "cat", "dog"]
    np.testing.assert_array_equal(words.transform(X), fitted.transform(X))


def test_seeds_matter_and_no_epoch_is_a_random_start():
    X, y = looks()
    first, second = (DynamicSubspaceMetric(**{**QUICK, "epochs": 0, "random_state": seed}) for seed in (0, 1))
    assert not np.array_equal(first.fit(X, y).transform(X), second.fit(X, y).transform(X))
    assert first.history_.score == []


def test_the_state_is_plain_tensors(fitted):
    state = fitted.embedding_.state_dict()
    assert set(state) == {"weight", "bias", "first"}
    assert all(isinstance(value, torch.Tensor) for value in state.values())


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"n_components": 9}, "embedding"),
        ({"n_components": 0}, "n_components"),
        ({"n_learners": 0}, "n_learners"),
        ({"n_learners": 17}, "n_learners"),
        ({"samples_per_class": 1}, "samples_per_class"),
        ({"classes_per_batch": 1}, "classes_per_batch"),
        ({"importance": "gut"}, "importance"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"patience": 0}, "patience"),
        ({"learning_rate": 0.0}, "rates"),
        ({"epochs": 1.5}, "epochs"),
    ],
)
def test_settings_are_checked(settings, name):
    with pytest.raises(InputError, match=name):
        DynamicSubspaceMetric(**{**QUICK, **settings}).fit(*looks(40))


def test_data_that_do_not_fit_are_refused():
    X, y = looks(40)
    hole = X.copy()
    hole[3, 2] = np.nan
    with pytest.raises(InputError, match="NaN"):
        DynamicSubspaceMetric(**QUICK).fit(hole, y)
    with pytest.raises(InputError, match="y: got None"):
        DynamicSubspaceMetric(**QUICK).fit(X, None)
    with pytest.raises(InputError, match="class"):
        DynamicSubspaceMetric(**QUICK).fit(X, np.zeros(40, dtype=int))
    with pytest.raises(InputError, match="held out"):
        DynamicSubspaceMetric(**QUICK).fit(X, np.arange(40))
    few = np.array([0] * 20 + [1] * 18 + [2, 3])
    assert DynamicSubspaceMetric(**{**QUICK, "epochs": 1}).fit(X, few).classes_.tolist() == [0, 1, 2, 3]
    assert issubclass(NoPairsError, InputError)
