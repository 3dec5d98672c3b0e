"""Furthest-first selection against a slow loop, and its guarantee."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from spaceform.errors import InputError
from spaceform.ops.selection import furthest_first, furthest_points


@given(seed=st.integers(0, 10_000), n=st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_each_pick_is_the_furthest_from_all_before(seed, n):
    rng = np.random.default_rng(seed)
    X, k = rng.normal(size=(n, 3)), int(rng.integers(1, n + 1))
    start = int(rng.integers(n))
    picks, radii = furthest_points(X, k=k, start=start)
    assert picks[0] == start
    assert radii[0] == np.inf
    D = cdist(X, X)
    for i in range(1, k):
        near = D[:, picks[:i]].min(axis=1)
        assert near[picks[i]] == pytest.approx(near.max(), abs=1e-6)
        assert radii[i] == pytest.approx(near.max(), abs=1e-6)
    assert len(set(picks.tolist())) == k


def test_radius_is_within_twice_the_best():
    X = np.random.default_rng(0).normal(size=(9, 2))
    D = cdist(X, X)
    picks, _ = furthest_points(X, k=3)
    best = min(D[:, list(centres)].min(axis=1).max() for centres in itertools.combinations(range(9), 3))
    assert D[:, picks].min(axis=1).max() <= 2 * best + 1e-9


def test_duplicates_are_picked_last_and_once():
    picks, radii = furthest_points(np.array([[0.0], [0.0], [1.0], [0.0]]), k=4)
    assert picks.tolist() == [0, 2, 1, 3]
    assert radii[1:].tolist() == [1, 0, 0]


def test_angles_ignore_length():
    picks, radii = furthest_points(np.array([[1.0, 0.0], [100.0, 1.0], [0.0, 0.1]]), k=2, metric="cosine")
    assert picks.tolist() == [0, 2]
    assert radii[1] == pytest.approx(1)


def test_points_chosen_before_count():
    D = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
    picks, radii = furthest_first(lambda i: D[i], D[[0, 4]].min(axis=0), count=2)
    assert picks.tolist() == [2, 1]
    assert radii.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"k": 4}, "k"), ({"k": 0}, "k"), ({"k": 1, "start": 3}, "start"), ({"k": 1, "metric": "city"}, "metric")],
)
def test_impossible_wishes_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        furthest_points(np.zeros((3, 2)) + 1, **options)
    with pytest.raises(InputError, match="NaN"):
        furthest_points(np.full((3, 2), np.nan), k=1)
