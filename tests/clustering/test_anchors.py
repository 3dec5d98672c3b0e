"""Anchors: balanced, far apart, in the middle of clusters, and always as many distinct rows as asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.clustering.anchors import SELECTIONS, select_anchors
from spaceform.errors import InputError


def blobs(n=90, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return 8 * np.eye(classes, 4)[y] + rng.normal(size=(n, 4)), y


@given(seed=st.integers(0, 1000), m=st.integers(3, 90))
@settings(max_examples=20, deadline=None)
def test_every_way_gives_distinct_rows_and_the_same_for_the_same_seed(seed, m):
    X, y = blobs()
    for method in SELECTIONS:
        first, second = (select_anchors(X, m, method, y=y, random_state=seed) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert len(np.unique(first)) == m == len(first)
        assert first.min() >= 0
        assert first.max() < len(X)


def test_stratified_takes_one_of_each_class_in_turn_and_none_without_label():
    X, y = blobs()
    y = y.copy()
    y[y == 2] = np.where(np.arange(30) < 28, -1, 2)
    picks = select_anchors(X, 12, "stratified", y=y, random_state=0)
    assert y[picks[:3]].tolist() == [0, 1, 2]
    assert np.bincount(y[picks]).tolist() == [5, 5, 2]  # a class that runs out leaves its turns to the others
    assert y[picks[:3]].tolist() == y[picks[3:6]].tolist()


def test_far_and_middle_rows_are_on_every_side():
    X, y = blobs()
    for method in ("fps", "kmeans"):
        assert set(y[select_anchors(X, 3, method, random_state=1)]) == {0, 1, 2}


def test_the_middle_row_is_the_nearest_to_the_centre():
    X, _ = blobs()
    units = X / np.linalg.norm(X, axis=1, keepdims=True)
    (pick,) = select_anchors(X, 1, "kmeans", random_state=0)
    assert pick == np.linalg.norm(units - units.mean(0), axis=1).argmin()


def test_candidates_and_functions():
    X, _ = blobs()
    frequent = np.arange(20, 40)
    for method in ("uniform", "fps", "kmeans"):
        assert np.isin(select_anchors(X, 10, method, candidates=frequent, random_state=0), frequent).all()
    np.testing.assert_array_equal(
        select_anchors(X, 4, lambda rows, m, rng: np.arange(m), candidates=frequent), frequent[:4]
    )
    with pytest.raises(InputError, match="selection"):
        select_anchors(X, 4, lambda rows, m, rng: np.arange(3))
    with pytest.raises(InputError, match="selection"):
        select_anchors(X, 2, lambda rows, m, rng: [5, 5])


@pytest.mark.parametrize(
    ("m", "method", "y", "match"),
    [
        (91, "uniform", None, "n_anchors"),
        (0, "uniform", None, "n_anchors"),
        (5, "middle", None, "selection"),
        (5, "stratified", None, "y"),
        (2, "stratified", np.arange(90) % 3, "n_anchors"),
        (5, "stratified", np.arange(80), "y"),
    ],
)
def test_bad_wishes_are_refused(m, method, y, match):
    with pytest.raises(InputError, match=match):
        select_anchors(blobs()[0], m, method, y=y)
