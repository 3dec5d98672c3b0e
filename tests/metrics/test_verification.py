"""Verification: worked thresholds, ties, folds that never see their own pairs, refusals."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_curve

from spaceform.errors import InputError
from spaceform.metrics.verification import (
    EmbeddingVerifier,
    best_threshold,
    kfold_verification,
    pair_distances,
    roc,
    threshold_at_far,
    val_at_far,
    verification,
)


def some_pairs(seed, n=200, gap=0.6):
    rng = np.random.default_rng(seed)
    same = rng.random(n) < 0.5
    same[:4] = [True, True, False, False]
    return np.abs(rng.normal(1.2, 0.4, n) - gap * same), same


def test_distances_of_unit_vectors():
    a, b = np.array([[3.0, 0], [1, 0], [2, 0]]), np.array([[1.0, 0], [0, 5], [-1, 0]])
    np.testing.assert_allclose(pair_distances(a, b), [0, 2, 4])
    with pytest.raises(InputError, match="zero vector"):
        pair_distances(a * 0, b)
    with pytest.raises(InputError, match="second"):
        pair_distances(a, b[:2])


@given(seed=st.integers(0, 10**6), n=st.integers(4, 60), steps=st.integers(1, 20))
@example(seed=887, n=4, steps=1)  # the smallest distance is 0 and belongs to a different pair
@settings(deadline=None, max_examples=60)
def test_no_threshold_is_better_than_the_best(seed, n, steps):
    distances, same = some_pairs(seed, n)
    distances = np.round(distances * steps) / steps  # ties
    found = best_threshold(distances, same)
    tried = np.concatenate([[0.0], distances, np.maximum(distances - 1e-9, 0)])
    accuracy = [((distances <= threshold) == same).mean() for threshold in [found, *tried]]
    assert accuracy[0] == max(accuracy)


def test_ties_take_the_middle_of_the_best_interval():
    assert best_threshold([0.2, 0.4, 1.6, 2.0], [1, 1, 0, 0]) == pytest.approx(1.0)
    assert best_threshold([0.2, 0.4], [0, 1]) == pytest.approx(0.1)  # nothing accepted: one of two right, as with all
    assert best_threshold([0.5, 0.5, 0.5], [1, 1, 0]) == pytest.approx(0.5)  # equal ones are accepted together


def test_val_at_far_by_hand():
    same = np.repeat([True, False], [5, 10])
    distances = np.array([0.1, 0.3, 0.5, 0.7, 0.9, *np.linspace(0.4, 2.0, 10)])
    assert val_at_far(distances, same, 0.1) == pytest.approx(
        0.6
    )  # 0.1, 0.3 and 0.5 lie below the second different pair
    assert threshold_at_far(distances, same, 0.1) < distances[6]
    with pytest.raises(InputError, match="one in 10"):
        val_at_far(distances, same, 0.09)
    same_everywhere = np.zeros(15)
    assert threshold_at_far(same_everywhere, same, 0.5) == 0


@given(seed=st.integers(0, 10**6), far=st.floats(0.05, 0.9))
@settings(deadline=None, max_examples=40)
def test_the_threshold_keeps_its_promise_and_is_the_largest_that_does(seed, far):
    distances, same = some_pairs(seed)
    threshold = threshold_at_far(distances, same, far)
    different = distances[~same]
    assert (different <= threshold).mean() <= far + 1e-9
    beyond = different[different > threshold]
    assert len(beyond) == 0 or (different <= beyond.min()).mean() > far - 1e-9


def test_roc_equals_scikit_learn():
    distances, same = some_pairs(3)
    far, val, thresholds = roc(distances, same)
    theirs_far, theirs_val, _ = roc_curve(same, -distances, drop_intermediate=False)
    np.testing.assert_allclose(far, theirs_far)
    np.testing.assert_allclose(val, theirs_val)
    assert (np.diff(thresholds) >= 0).all()


@pytest.mark.parametrize("protocol", ["exact", "reference"])
def test_random_embeddings_are_at_chance(protocol):
    """A threshold chosen on the test fold would be above one half."""
    rng = np.random.default_rng(0)
    same = np.arange(6000) % 2 == 0
    found = kfold_verification(
        rng.normal(size=(6000, 32)), rng.normal(size=(6000, 32)), same, far=0.01, protocol=protocol
    )
    assert found.accuracy == pytest.approx(0.5, abs=0.02)  # 3 standard deviations
    assert found.val == pytest.approx(0.01, abs=0.01)
    leaky = np.mean([best_on_itself(seed) for seed in range(10)])
    assert leaky > 0.505


def best_on_itself(seed):
    distances, same = some_pairs(seed, 600, gap=0)
    return ((distances <= best_threshold(distances, same)) == same).mean()


@pytest.mark.parametrize("protocol", ["exact", "reference"])
def test_a_fold_does_not_choose_its_own_threshold(protocol):
    distances, same = some_pairs(1, 400)
    folds = np.arange(400) % 4
    before = verification(distances, same, n_splits=4, far=0.1, folds=folds, protocol=protocol)
    spoiled = distances.copy()
    spoiled[folds == 2] = 3.9 - spoiled[folds == 2]
    after = verification(spoiled, same, n_splits=4, far=0.1, folds=folds, protocol=protocol)
    assert after.thresholds[2] == before.thresholds[2]
    assert after.fold_accuracies[2] < before.fold_accuracies[2]


def test_the_two_protocols_nearly_agree():
    distances, same = some_pairs(2, 2000)
    exact = verification(distances, same, far=0.05)
    grid = verification(distances, same, far=0.05, protocol="reference")
    assert grid.accuracy == pytest.approx(exact.accuracy, abs=0.01)
    assert grid.val == pytest.approx(exact.val, abs=0.02)
    never = verification(distances + 4, same, far=0.05, protocol="reference")
    assert never.val == 0


def test_separable_pairs_are_all_right():
    same = np.arange(100) % 2 == 0
    found = verification(np.where(same, 0.1, 1.9), same, far=0.05)
    assert (found.accuracy, found.accuracy_std, found.val, found.far_found) == (1, 0, 1, 0)
    np.testing.assert_allclose(found.thresholds, 1.0)


def test_folds_hold_both_kinds_evenly_and_follow_the_seed():
    distances, same = some_pairs(5, 300)
    first, again, other = (verification(distances, same, far=0.1, random_state=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.fold_accuracies, again.fold_accuracies)
    assert not np.array_equal(first.fold_accuracies, other.fold_accuracies)


def test_refusals():
    distances, same = some_pairs(0, 40)
    cases = [
        ("same", lambda: best_threshold(distances, np.ones(40))),
        ("same", lambda: best_threshold(distances, same[:-1])),
        ("distances", lambda: best_threshold(-distances, same)),
        ("distances", lambda: best_threshold(np.where(same, np.nan, distances), same)),
        ("n_splits", lambda: verification(distances, same, n_splits=41)),
        ("n_splits", lambda: verification(distances, same, n_splits=1)),
        ("far", lambda: verification(distances, same, n_splits=4, far=1e-4)),
        ("far", lambda: val_at_far(distances, same, 1.0)),
        ("protocol", lambda: verification(distances, same, protocol="lfw")),
        ("folds", lambda: verification(distances, same, n_splits=2, folds=same.astype(int))),
        ("folds", lambda: verification(distances, same, n_splits=2, folds=np.arange(40) // 4 % 3)),
    ]
    for name, work in cases:
        with pytest.raises(InputError) as refusal:
            work()
        assert refusal.value.argument == name


def test_the_verifier_keeps_the_values_it_was_given():
    distances, same = some_pairs(7)
    words = np.where(same, "same", "different")
    found = EmbeddingVerifier().fit(distances, words)
    assert set(found.predict(distances)) == {"same", "different"}
    assert found.classes_.tolist() == ["different", "same"]
    assert found.score(distances, words) >= max(same.mean(), 1 - same.mean())
    strict = EmbeddingVerifier(far=0.02).fit(distances, same)
    assert (distances[~same] <= strict.threshold_).mean() <= 0.02
    np.testing.assert_array_equal(strict.predict(distances), strict.decision_function(distances) >= 0)
    with pytest.raises(InputError, match="y"):
        EmbeddingVerifier().fit(distances, np.zeros(200))


def test_an_unfitted_verifier_refuses():
    with pytest.raises(NotFittedError):
        EmbeddingVerifier().predict([0.5])
