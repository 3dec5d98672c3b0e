"""Lifetimes against ripser, GUDHI and SciPy; hand values; invariances; what a toy version gets wrong."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform
from scipy.stats import ortho_group

from spaceform.errors import InputError
from spaceform.metrics.persistence import (
    STATISTICS,
    column_shuffled,
    estimate_n_components,
    h0_persistence,
    persistence_score,
)

LINE = [[0.0], [1.0], [2.0], [10.0]]
clouds = st.builds(
    lambda seed, n, d: np.random.default_rng(seed).normal(size=(n, d)),
    st.integers(0, 2**32 - 1),
    st.integers(4, 40),
    st.integers(1, 5),
)


@pytest.mark.parametrize("backend", ["ripser", "gudhi"])
@pytest.mark.parametrize("seed", range(3))
def test_lifetimes_are_the_deaths_of_persistent_homology(backend, seed):
    pytest.importorskip(backend)
    X = np.random.default_rng(seed).normal(size=(60, 3))
    X[7] = X[3]
    expected = h0_persistence(X, backend=backend)
    np.testing.assert_allclose(h0_persistence(X), expected, rtol=1e-6, atol=1e-6)
    D = squareform(pdist(X))
    np.testing.assert_allclose(h0_persistence(precomputed=D, backend=backend), expected, rtol=1e-6, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(clouds)
def test_lifetimes_are_single_linkage_heights(X):
    heights = np.sort(linkage(X, "single")[:, 2])[::-1]
    np.testing.assert_allclose(h0_persistence(X), heights, rtol=0, atol=1e-12)
    np.testing.assert_allclose(h0_persistence(precomputed=squareform(pdist(X))), heights, rtol=0, atol=1e-12)


def test_ten_copies_of_five_points_give_45_zeros():
    p = h0_persistence(np.repeat(np.random.default_rng(0).normal(size=(5, 3)), 10, axis=0))
    assert len(p) == 49
    assert (p == 0).sum() == 45
    assert persistence_score(p) > 0


def test_cosine_is_chordal_distance_of_unit_rows():
    X = np.random.default_rng(0).normal(size=(30, 4))
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(h0_persistence(X, metric="cosine"), h0_persistence(unit), rtol=1e-12)


def test_hand_values_on_a_line():
    p = h0_persistence(LINE)
    assert p.tolist() == [8, 1, 1]
    assert persistence_score(p) == pytest.approx((1 + 0.125 + 0.125) / 3, abs=1e-15)
    assert persistence_score(p, "median") == 0.125
    assert persistence_score(p, "quantile", quantile=1.0) == 1
    assert persistence_score(p, "gap") == 0.875
    assert persistence_score(p, "n_long") == 2
    assert persistence_score(p, normalize=False) == pytest.approx(10 / 3)
    r = np.array([0.8, 0.1, 0.1])
    assert persistence_score(p, "entropy") == pytest.approx(-(r * np.log(r)).sum() / math.log(3))
    assert estimate_n_components(p, 2) == 2


def test_two_tight_pairs_far_apart_score_a_third():
    p = h0_persistence([[0.0], [1e-9], [1.0], [1 + 1e-9]])
    assert persistence_score(p) == pytest.approx(1 / 3, abs=1e-6)


def test_equidistant_rows_score_one():
    p = h0_persistence(np.eye(6))
    np.testing.assert_allclose(p, math.sqrt(2))
    assert persistence_score(p) == pytest.approx(1)
    assert persistence_score(p, "entropy") == pytest.approx(1)


@pytest.mark.parametrize("statistic", STATISTICS)
@settings(max_examples=15, deadline=None)
@given(X=clouds, scale=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
def test_invariant_to_order_rotation_translation_and_scale(statistic, X, scale, seed):
    rng = np.random.default_rng(seed)
    d = X.shape[1]
    Q = ortho_group.rvs(d, random_state=seed) if d > 1 else np.eye(1)
    moved = scale * (X @ Q + rng.normal(size=d))[rng.permutation(len(X))]
    threshold = 0.37
    ours, theirs = (persistence_score(h0_persistence(Z), statistic, threshold=threshold) for Z in (X, moved))
    if statistic == "n_long":  # a step function: rounding may carry one lifetime over threshold
        assert abs(ours - theirs) <= 1
    else:
        assert theirs == pytest.approx(ours, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("statistic", ["mean", "median", "quantile", "trimmed", "entropy", "gap"])
@settings(max_examples=15, deadline=None)
@given(X=clouds)
def test_scores_lie_between_0_and_1(statistic, X):
    score = persistence_score(h0_persistence(X), statistic)
    assert 0 <= score <= 1 + 1e-12


def test_scores_depend_on_the_number_of_rows():
    """More rows shorten the short lifetimes but not the longest: scores are comparable only at equal n."""
    X = np.random.default_rng(0).normal(size=(2000, 8))
    few, many = (persistence_score(h0_persistence(X[:n])) for n in (200, 2000))
    assert abs(few - many) > 0.05


def test_one_outlier_fools_the_mean_but_not_the_guards():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 16))
    far = np.vstack([X, 100 * np.eye(16)[:1]])
    before, after = h0_persistence(X), h0_persistence(far)
    assert persistence_score(after) < 0.3 * persistence_score(before)
    assert persistence_score(after, "trimmed") == pytest.approx(persistence_score(before, "trimmed"), abs=0.05)
    guarded = [persistence_score(h0_persistence(Z, min_component_size=5)) for Z in (X, far)]
    assert guarded[1] == pytest.approx(guarded[0], abs=0.02)


def test_guard_keeps_the_gap_between_real_clusters():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(50, 8)), 20 + rng.normal(size=(50, 8)), np.full((1, 8), 500.0)])
    p = h0_persistence(X, min_component_size=5)
    assert p[0] == pytest.approx(h0_persistence(X[:100])[0])
    assert persistence_score(p) < 0.1
    assert p[0] == p[1]  # the outlier's own lifetime is cut to the gap


def test_guard_without_any_such_merge_says_shapeless():
    X = np.cumsum(np.arange(1.0, 9.0))[:, None]  # every row joins one growing component
    assert persistence_score(h0_persistence(X, min_component_size=3)) == 1


def test_number_of_components():
    rng = np.random.default_rng(0)
    centres = 50 * rng.normal(size=(7, 10))
    X = np.repeat(centres, 20, axis=0) + rng.normal(size=(140, 10))
    p = h0_persistence(X)
    assert estimate_n_components(p, 20) == 7
    assert persistence_score(p, "n_long", threshold=0.3) == 7


def test_shuffling_columns_keeps_marginals_and_destroys_clusters():
    rng = np.random.default_rng(0)
    X = np.repeat(20 * rng.normal(size=(5, 16)), 40, axis=0) + rng.normal(size=(200, 16))
    shuffled = column_shuffled(X, 1)
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(X, axis=0))
    assert persistence_score(h0_persistence(shuffled)) > 3 * persistence_score(h0_persistence(X))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"X": [[0.0], [np.inf], [1.0]]}, "infinity"),
        ({"X": [[0.0], [np.nan], [1.0]]}, "NaN"),
        ({"X": [[0.0], [1.0]]}, "at least 3 row"),
        ({}, "X or precomputed"),
        ({"X": LINE, "precomputed": np.zeros((4, 4))}, "X or precomputed"),
        ({"X": LINE, "metric": "hamming"}, "one of 'euclidean'"),
        ({"X": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], "metric": "cosine"}, "zero vector"),
        ({"X": LINE, "min_component_size": 3}, "from 1 to 2"),
        ({"precomputed": np.zeros((3, 4))}, "square"),
        ({"precomputed": np.eye(3)}, "diagonal"),
        ({"precomputed": [[0, 1, 2], [1, 0, 3], [9, 3, 0]]}, "asymmetric"),
        ({"precomputed": -(1 - np.eye(3))}, "negative"),
    ],
)
def test_bad_rows_and_distances_are_refused(arguments, part):
    with pytest.raises(InputError, match=part):
        h0_persistence(**arguments)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_identical_rows_have_no_score(statistic):
    p = h0_persistence(np.ones((5, 2)))
    with pytest.raises(InputError, match=r"identical|quantile of 0"):
        persistence_score(p, statistic)
    with pytest.raises(InputError, match="different rows"):
        estimate_n_components(p, 2)


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: persistence_score([1.0]), "two or more"),
        (lambda: persistence_score([1.0, -1.0]), "two or more"),
        (lambda: persistence_score(["a", "b"]), "numbers"),
        (lambda: persistence_score([2.0, 1.0], "variance"), "one of 'mean'"),
        (lambda: persistence_score([2.0, 1.0], "quantile", quantile=2), "from 0 to 1"),
        (lambda: persistence_score([2.0, 0.0, 0.0], "trimmed", quantile=0.1), "quantile of 0"),
        (lambda: estimate_n_components([3.0, 2.0, 1.0], 4), "from 1 to 3"),
        (lambda: estimate_n_components([3.0, 2.0, 1.0], 0), "from 1 to 3"),
    ],
)
def test_bad_lifetimes_and_options_are_refused(call, part):
    with pytest.raises(InputError, match=part):
        call()
