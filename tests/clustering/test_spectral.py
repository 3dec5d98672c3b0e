"""Spectral embedding: bandwidth by hand, connectedness, and equality with scikit-learn's Laplacian eigenmaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence
from sklearn.cluster import SpectralClustering
from sklearn.datasets import make_moons
from sklearn.manifold import spectral_embedding as sklearn_embedding
from sklearn.metrics import adjusted_rand_score

from spaceform.clustering import spectral
from spaceform.clustering.kmeans import kmeans
from spaceform.clustering.spectral import dense_affinity, mst_bandwidth, neighbor_affinity, spectral_embedding
from spaceform.errors import InputError
from spaceform.ops.spanning import euclidean_mst


def two_pairs() -> np.ndarray:
    """Two clusters of duplicates: the spanning tree is 0, 0, 0 and the edge of length 5 between them."""
    return np.repeat([[0.0, 0.0], [3.0, 4.0]], [3, 2], axis=0)


@pytest.mark.parametrize("min_dist", [0.1, 0.6, 0.99])
def test_bandwidth_by_hand_with_duplicates(min_dist: float) -> None:
    # the largest edge of the tree of SQUARED distances is 25
    assert mst_bandwidth(two_pairs(), min_dist) == pytest.approx(np.sqrt(-25 / np.log(min_dist)))


@pytest.mark.parametrize("min_dist", [0.1, 0.6, 0.99])
def test_weakest_edge_of_the_tree_keeps_the_root_of_min_dist(min_dist: float) -> None:
    X = two_pairs()
    affinity = dense_affinity(X, mst_bandwidth(X, min_dist))
    assert affinity[0, 4] == pytest.approx(np.sqrt(min_dist))
    assert affinity[0, 1] == 1
    assert (np.diag(affinity) == 0).all()


@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_the_graph_holds_together_at_that_similarity(seed: int, min_dist: float) -> None:
    X = np.random.default_rng(seed).normal(size=(20, 3)) * 100
    affinity = dense_affinity(X, mst_bandwidth(X, min_dist))
    assert connected_components(affinity >= np.sqrt(min_dist) * (1 - 1e-9))[0] == 1


@given(st.floats(0.01, 100))
def test_scaling_the_rows_changes_nothing(scale: float) -> None:
    X = np.random.default_rng(0).normal(size=(30, 3))
    first, second = spectral_embedding(X, 3), spectral_embedding(X * scale, 3)
    np.testing.assert_allclose(np.abs(first), np.abs(second), atol=1e-6)


def test_equals_scikit_learns_laplacian_eigenmaps() -> None:
    X = np.random.default_rng(1).normal(size=(60, 4))
    affinity = dense_affinity(X, mst_bandwidth(X, 0.6))
    theirs = sklearn_embedding(affinity, n_components=4, drop_first=True, eigen_solver="lobpcg", random_state=0)
    ours = spectral_embedding(X, 4) / np.sqrt(affinity.sum(0))[:, None]  # theirs is divided by the root of the degree
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-5)


def test_columns_are_eigenvectors_of_the_laplacian_in_ascending_order() -> None:
    X = np.random.default_rng(2).normal(size=(40, 3))
    affinity = dense_affinity(X, mst_bandwidth(X, 0.5))
    degrees = affinity.sum(0)
    laplacian = np.eye(40) - affinity / np.sqrt(degrees[:, None] * degrees)
    values, vectors = np.linalg.eigh(laplacian)
    embedding = spectral_embedding(X, 5, 0.5)
    np.testing.assert_allclose(np.abs(embedding), np.abs(vectors[:, 1:6]), atol=1e-8)
    np.testing.assert_allclose(laplacian @ embedding, embedding * values[1:6], atol=1e-8)


def test_moons_fall_apart_as_scikit_learn_sees_them() -> None:
    X, y = make_moons(200, noise=0.04, random_state=0)
    affinity = dense_affinity(X, mst_bandwidth(X, 0.01))
    theirs = SpectralClustering(2, affinity="precomputed", random_state=0).fit_predict(affinity)
    ours = kmeans(spectral_embedding(X, 1, 0.01), 2, random_state=0).labels
    assert adjusted_rand_score(ours, theirs) == 1
    assert adjusted_rand_score(ours, y) == 1


def test_iteration_and_full_solver_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(3).normal(size=(120, 4))
    full = spectral_embedding(X, 6)
    monkeypatch.setattr(spectral, "FULL_SOLVER", 50)
    np.testing.assert_allclose(spectral_embedding(X, 6), full, atol=1e-6)

    def refuse(*args: object, **kwargs: object) -> None:
        raise ArpackNoConvergence("no", np.empty(0), np.empty((0, 0)))

    monkeypatch.setattr(spectral, "eigsh", refuse)
    np.testing.assert_allclose(spectral_embedding(X, 6), full, atol=1e-3)


def test_with_all_neighbours_the_sparse_graph_is_the_dense_one() -> None:
    X = np.random.default_rng(4).normal(size=(40, 3))
    sigma = mst_bandwidth(X, 0.6)
    sparse = neighbor_affinity(X, sigma, tree=euclidean_mst(X), k=39)
    np.testing.assert_allclose(sparse.toarray(), dense_affinity(X, sigma), atol=1e-9)
    np.testing.assert_allclose(spectral_embedding(X, 3, max_dense=10, k=50), spectral_embedding(X, 3), atol=1e-7)


def test_the_sparse_graph_is_connected_and_symmetric_however_few_neighbours() -> None:
    rng = np.random.default_rng(5)
    X = np.concatenate([rng.normal(center, 0.01, size=(15, 2)) for center in (0, 10, 30)])
    affinity = neighbor_affinity(X, mst_bandwidth(X, 0.5), tree=euclidean_mst(X), k=2)
    assert connected_components(affinity)[0] == 1
    assert abs(affinity - affinity.T).max() == 0
    labels = kmeans(spectral_embedding(X, 2, 0.5, max_dense=10, k=2), 3, random_state=0).labels
    assert adjusted_rand_score(labels, np.repeat([0, 1, 2], 15)) == 1


def test_a_row_whose_similarities_all_underflow_is_isolated_but_finite() -> None:
    X = np.concatenate([np.linspace(0, 1, 20)[:, None], [[1e6]]])
    affinity = dense_affinity(X, 0.1)
    assert affinity[-1].sum() == 0
    assert np.isfinite(spectral._normalize(affinity)).all()


@pytest.mark.parametrize("min_dist", [0, 1, -0.5, 1.5, np.nan, "0.5"])
def test_min_dist_must_lie_between_0_and_1(min_dist: object) -> None:
    with pytest.raises(InputError, match="min_dist"):
        mst_bandwidth(np.eye(3), min_dist)


@pytest.mark.parametrize(
    ("X", "n_components", "argument"),
    [
        (np.ones((5, 2)), 2, "X"),
        (np.eye(5), 5, "n_components"),
        (np.eye(5), 0, "n_components"),
        (np.full((5, 2), np.inf), 2, "X"),
    ],
)
def test_bad_input_is_refused(X: np.ndarray, n_components: int, argument: str) -> None:
    with pytest.raises(InputError) as caught:
        spectral_embedding(X, n_components)
    assert caught.value.argument == argument
