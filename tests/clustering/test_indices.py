"""Validity indices against scikit-learn, loops and hand values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from spaceform.clustering import indices
from spaceform.errors import InputError


def random_clustering(seed: int, n: int = 25, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    return rng.normal(size=(n, 3)), labels


@given(st.integers(0, 10_000))
def test_silhouette_equals_scikit_learn(seed: int) -> None:
    X, labels = random_clustering(seed)
    distances = indices.distance_matrix(X)
    np.testing.assert_allclose(
        indices.silhouette_samples(distances, labels), metrics.silhouette_samples(X, labels), atol=1e-9
    )
    assert indices.silhouette(distances, labels) == pytest.approx(metrics.silhouette_score(X, labels))


def test_a_lone_row_and_equal_rows_have_silhouette_zero() -> None:
    X = np.array([[0.0], [0.0], [5.0], [0.0]])
    values = indices.silhouette_samples(indices.distance_matrix(X), np.array([0, 0, 1, 2]))
    np.testing.assert_array_equal(values, [0, 0, 0, 0])


@given(st.integers(0, 10_000))
def test_dunn_equals_a_loop(seed: int) -> None:
    X, labels = random_clustering(seed, n=12, k=3)
    gap, diameter = np.inf, 0.0
    for i in range(len(X)):
        for j in range(len(X)):
            distance = float(np.linalg.norm(X[i] - X[j]))
            if labels[i] == labels[j]:
                diameter = max(diameter, distance)
            else:
                gap = min(gap, distance)
    assert indices.dunn(indices.distance_matrix(X), labels) == pytest.approx(gap / diameter)


def test_dunn_of_points_is_infinite() -> None:
    assert indices.dunn(indices.distance_matrix(np.array([[0.0], [1.0]])), np.array([0, 1])) == np.inf


def test_distances_have_an_exact_zero_diagonal() -> None:
    X = np.full((5, 3), 1e4) + np.arange(5)[:, None] * 1e-3
    distances = indices.distance_matrix(X.astype(np.float32))
    assert (np.diag(distances) == 0).all()
    assert np.isfinite(distances).all()


def test_indices_prefer_the_true_number_of_clusters() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(center, 0.1, size=(20, 2)) for center in ((0, 0), (5, 0), (0, 5))])
    right, wrong = np.repeat([0, 1, 2], 20), np.repeat([0, 1, 1], 20)
    distances = indices.distance_matrix(X)
    assert indices.silhouette(distances, right) > indices.silhouette(distances, wrong)
    assert indices.dunn(distances, right) > indices.dunn(distances, wrong)
    assert indices.calinski_harabasz(X, right) > indices.calinski_harabasz(X, wrong)
    assert indices.davies_bouldin(X, right) < indices.davies_bouldin(X, wrong)


@pytest.mark.parametrize(
    ("ys", "position"), [([10, 2, 1, 0], 1), ([9, 6, 3, 0], 0), ([1, 1, 1], 0), ([3, 2], 0), ([100, 90, 20, 15, 10], 2)]
)
def test_knee_by_hand(ys: list[float], position: int) -> None:
    assert indices.knee(np.arange(len(ys), dtype=float), np.array(ys, dtype=float)) == position


@pytest.mark.parametrize("labels", [np.zeros(4, int), np.arange(4), np.zeros(3, int)])
def test_silhouette_is_refused_where_it_is_not_defined(labels: np.ndarray) -> None:
    with pytest.raises(InputError, match="labels"):
        indices.silhouette(indices.distance_matrix(np.eye(4)), labels)


def test_dunn_needs_two_clusters() -> None:
    with pytest.raises(InputError, match="at least 2"):
        indices.dunn(indices.distance_matrix(np.eye(4)), np.zeros(4, int))
