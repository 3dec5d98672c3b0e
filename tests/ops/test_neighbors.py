"""Exact neighbours against scikit-learn and a slow loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from spaceform.errors import InputError
from spaceform.ops import neighbors
from spaceform.ops.neighbors import nearest_neighbors


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_equal_to_scikit_learn(metric):
    rng = np.random.default_rng(0)
    X, Q = rng.normal(size=(300, 12)), rng.normal(size=(40, 12))
    peer = NearestNeighbors(n_neighbors=5, metric=metric, algorithm="brute").fit(X)
    distances, indices = nearest_neighbors(Q, X, k=5, metric=metric)
    expected, at = peer.kneighbors(Q)
    np.testing.assert_array_equal(indices, at)
    np.testing.assert_allclose(distances, expected, atol=1e-9)


def test_a_row_is_never_its_own_neighbour():
    X = np.zeros((4, 2))
    _, indices = nearest_neighbors(X, k=3)
    assert indices.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_ties_go_to_the_lowest_row(seed, k):
    X = np.random.default_rng(seed).integers(0, 3, size=(12, 2)).astype(float)
    _, indices = nearest_neighbors(X[:4], X, k=k)
    slow = [sorted(range(12), key=lambda j, row=row: (((row - X[j]) ** 2).sum(), j))[:k] for row in X[:4]]
    assert indices.tolist() == slow


def test_blocks_do_not_change_the_answer(monkeypatch):
    X = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    whole = nearest_neighbors(X, k=7)
    blocks = neighbors.row_blocks
    monkeypatch.setattr(neighbors, "row_blocks", lambda n, m, itemsize: blocks(n, m, itemsize=itemsize, budget=999))
    np.testing.assert_array_equal(nearest_neighbors(X, k=7)[1], whole[1])


@pytest.mark.parametrize("k", [0, 10, 1.5, True])
def test_k_is_checked(k):
    with pytest.raises(InputError, match="k"):
        nearest_neighbors(np.eye(10), k=k)


def test_cosine_refuses_zero_rows():
    with pytest.raises(InputError, match="zero vector"):
        nearest_neighbors(np.zeros((3, 2)), k=1, metric="cosine")
