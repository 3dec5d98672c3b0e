"""Relative hyperbolicity: 0 on trees, a slow loop, and known figures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.data.taxonomies import random_labelled_tree
from spaceform.errors import InputError
from spaceform.metrics.hierarchy.gromov import gromov_delta


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_trees_have_none(seed):
    tree = random_labelled_tree(12, seed)
    assert gromov_delta(tree.distances(np.arange(12)).astype(float)) == 0


def test_a_square_by_hand_and_random_points_by_a_loop():
    square = np.array([[0, 1, 2, 1], [1, 0, 1, 2], [2, 1, 0, 1], [1, 2, 1, 0]], dtype=float)
    assert gromov_delta(square) == 1.0  # delta 1, diameter 2
    X = np.random.default_rng(0).normal(size=(9, 3))
    d = np.linalg.norm(X[:, None] - X[None], axis=2)
    product = [[(d[x, 0] + d[y, 0] - d[x, y]) / 2 for y in range(9)] for x in range(9)]
    worst = max(min(product[x][y], product[y][z]) - product[x][z] for x in range(9) for y in range(9) for z in range(9))
    assert gromov_delta(d) == pytest.approx(2 * worst / d.max())
    assert 0 <= gromov_delta(d, max_points=5, random_state=0) <= 1


def test_refusals():
    for bad in (np.ones((2, 2)), np.array([[0, 1.0], [2.0, 0]]), np.zeros((2, 2)), -np.ones((2, 2)), np.zeros((2, 3))):
        with pytest.raises(InputError, match="distances"):
            gromov_delta(bad)
