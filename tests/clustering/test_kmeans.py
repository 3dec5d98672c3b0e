"""k-means against scikit-learn's from the same centres, and the laws of frozen centres and pinned rows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from spaceform.clustering import kmeans as module
from spaceform.clustering.kmeans import assign_nearest, kmeans, lloyd, seed_centers
from spaceform.errors import InputError


def blobs(n: int = 300, k: int = 5, d: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_blobs(n, d, centers=k, cluster_std=1.5, random_state=seed)
    return X, y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_equals_scikit_learn_from_the_same_centres(dtype: type, offset: float) -> None:
    X = (blobs(500, 6)[0] + offset).astype(dtype)
    init = X[:6].copy()
    theirs = KMeans(6, init=init, n_init=1, tol=0, algorithm="lloyd").fit(X)
    ours = lloyd(X, init)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, rtol=1e-4 if dtype == np.float32 else 1e-9)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-3 if dtype == np.float32 else 1e-9)
    assert ours.converged


def test_best_of_several_runs_is_as_good_as_scikit_learns() -> None:
    X = blobs(600, 12, 3)[0]
    theirs = KMeans(12, n_init=10, random_state=0).fit(X).inertia_
    assert kmeans(X, 12, random_state=0).inertia <= 1.01 * theirs


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X = blobs(200)[0]
    pinned = np.where(np.arange(200) % 7 == 0, 2, -1)
    whole = lloyd(X, X[:5], pinned=pinned)
    monkeypatch.setattr(module, "_BLOCK", 1000)
    pieces = lloyd(X, X[:5], pinned=pinned)
    np.testing.assert_array_equal(whole.labels, pieces.labels)
    np.testing.assert_allclose(whole.centers, pieces.centers)


@given(st.integers(0, 10_000))
def test_inertia_never_rises_with_more_steps(seed: int) -> None:
    X = np.random.default_rng(seed).normal(size=(40, 3))
    inertias = [lloyd(X, X[:4], max_iter=steps).inertia for steps in (1, 2, 3, 5, 20)]
    assert all(after <= before + 1e-9 for before, after in pairwise(inertias))


@given(st.integers(0, 10_000))
def test_labels_are_those_of_the_returned_centres(seed: int) -> None:
    X = np.random.default_rng(seed).normal(size=(40, 3))
    result = kmeans(X, 4, n_init=1, max_iter=2, random_state=seed)
    labels, gaps = assign_nearest(X, result.centers)
    np.testing.assert_array_equal(labels, result.labels)
    distances = np.linalg.norm(X[:, None] - result.centers[None], axis=2)
    np.testing.assert_allclose(gaps, distances.min(1) ** 2, atol=1e-9)
    assert result.inertia == pytest.approx(gaps.sum())


def test_frozen_centres_take_rows_and_stay_to_the_bit() -> None:
    X = blobs()[0]
    centers = X[:5] + 0.1234567
    frozen = np.array([True, False, True, False, False])
    result = lloyd(X, centers, frozen=frozen)
    np.testing.assert_array_equal(result.centers[frozen], centers[frozen])
    assert np.bincount(result.labels, minlength=5)[frozen].min() > 0
    for index in np.flatnonzero(~frozen):
        np.testing.assert_allclose(result.centers[index], X[result.labels == index].mean(0))


def test_pinned_rows_stay_and_pull_their_centre() -> None:
    X = np.array([[0.0], [1.0], [10.0], [11.0], [4.9]])
    free = lloyd(X, X[[0, 2]])
    pinned = lloyd(X, X[[0, 2]], pinned=np.array([-1, -1, -1, -1, 1]))
    np.testing.assert_array_equal(free.labels, [0, 0, 1, 1, 0])
    np.testing.assert_array_equal(pinned.labels, [0, 0, 1, 1, 1])
    np.testing.assert_allclose(pinned.centers[1], X[2:].mean(0))


def test_an_empty_cluster_keeps_its_centre() -> None:
    X = np.array([[0.0, 0.0], [1.0, 0.0]])
    result = lloyd(X, np.array([[0.5, 0.0], [100.0, 0.0]]))
    np.testing.assert_array_equal(result.centers[1], [100.0, 0.0])
    np.testing.assert_array_equal(result.labels, [0, 0])


@given(st.integers(0, 10_000), st.sampled_from([1.0, 2.0]))
def test_rows_on_a_known_centre_are_never_seeds(seed: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    known = rng.normal(size=(2, 3)) * 100
    X = np.vstack([np.repeat(known, 20, axis=0), rng.normal(size=(5, 3))])
    seeds = seed_centers(X, 4, known=known, init_power=power, random_state=rng)
    assert not (seeds[:, None] == known[None]).all(2).any()


def test_seeds_are_drawn_in_proportion_to_the_power_of_the_distance() -> None:
    X, known = np.array([[1.0], [3.0]]), np.array([[0.0]])
    rng = np.random.default_rng(0)
    for power, share in ((2.0, 0.9), (1.0, 0.75)):
        draws = [seed_centers(X, 1, known=known, init_power=power, random_state=rng)[0, 0] for _ in range(4000)]
        assert np.mean(np.array(draws) == 3) == pytest.approx(share, abs=0.02)


def test_more_clusters_than_distinct_rows() -> None:
    result = kmeans(np.ones((6, 2)), 3, random_state=0)
    assert result.inertia == 0
    assert set(result.labels) == {0}


def test_same_seed_same_result_and_input_untouched() -> None:
    X = blobs()[0]
    before = X.copy()
    first, second = (kmeans(X, 5, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(X, before)


def test_tolerance_is_the_squared_sum_of_shifts() -> None:
    X = blobs()[0]
    one = lloyd(X, X[:5], max_iter=1)
    travel = np.linalg.norm(one.centers - X[:5], axis=1).sum()
    assert lloyd(X, X[:5], tol=1.01 * travel**2).n_iter == 1
    assert lloyd(X, X[:5], tol=0.99 * travel**2).n_iter > 1


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("k", lambda X: kmeans(X, 11)),
        ("k", lambda X: kmeans(X, 0)),
        ("n_init", lambda X: kmeans(X, 2, n_init=0)),
        ("X", lambda X: kmeans(np.full_like(X, np.nan), 2)),
        ("known", lambda X: kmeans(X, 2, known=np.ones((1, 5)))),
        ("centers", lambda X: lloyd(X, np.ones((2, 5)))),
        ("pinned", lambda X: lloyd(X, X[:2], pinned=np.full(10, 2))),
        ("frozen", lambda X: lloyd(X, X[:2], frozen=np.array([1, 0]))),
        ("max_iter", lambda X: lloyd(X, X[:2], max_iter=0)),
        ("tol", lambda X: lloyd(X, X[:2], tol=-1)),
    ],
)
def test_bad_input_is_refused(argument: str, call: object) -> None:
    X = np.random.default_rng(0).normal(size=(10, 2))
    with pytest.raises(InputError) as caught:
        call(X)
    assert caught.value.argument == argument
