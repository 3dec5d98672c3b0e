"""Flat space against SciPy."""

import numpy as np
import torch
from scipy.spatial.distance import cdist

from spaceform.geometry import Euclidean
from spaceform.geometry.flat import squared_distances


def test_squared_distances_equal_scipy():
    A, B = np.random.default_rng(0).normal(size=(2, 7, 5))
    np.testing.assert_allclose(squared_distances(A, B), cdist(A, B, "sqeuclidean"))
    np.testing.assert_allclose(squared_distances(torch.tensor(A), torch.tensor(B)).numpy(), cdist(A, B, "sqeuclidean"))
    assert (squared_distances(A, A) >= 0).all()


def test_mean_is_the_weighted_average():
    X, w = np.random.default_rng(1).normal(size=(6, 2)), np.arange(6.0)
    np.testing.assert_allclose(Euclidean().mean(X, w), np.average(X, axis=0, weights=w))
