"""Mean distances of classes and their rank correlation with a tree."""

import numpy as np
import pytest

from spaceform.data.generators.tree import make_tree_classes
from spaceform.errors import InputError
from spaceform.metrics.hierarchy.tree_correlation import euclidean, mean_class_distances, tree_correlation


def test_mean_distances_equal_loops():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.integers(0, 3, 20)
    found = mean_class_distances(X, y, 4)
    for a in range(3):
        for b in range(3):
            slow = np.mean([np.linalg.norm(p - q) for p in X[y == a] for q in X[y == b]])
            assert found[a, b] == pytest.approx(slow, abs=1e-6)
    assert np.isnan(found[3]).all()
    np.testing.assert_allclose(euclidean(X, X)[0, 1], np.linalg.norm(X[0] - X[1]))


def test_signal_of_a_tree_follows_it_and_shuffled_classes_do_not():
    made = make_tree_classes(10, random_state=0)
    apart = mean_class_distances(made.signal, made.labels, 27)
    assert tree_correlation(apart, made.distances) > 0.7
    order = np.random.default_rng(0).permutation(27)
    assert abs(tree_correlation(apart[np.ix_(order, order)], made.distances)) < 0.3


def test_refusals():
    made = make_tree_classes(2, random_state=0)
    with pytest.raises(InputError, match="equally far"):
        tree_correlation(made.distances, 1 - np.eye(27))
    with pytest.raises(InputError, match="size"):
        tree_correlation(made.distances, np.eye(4))
    with pytest.raises(InputError, match="codes"):
        mean_class_distances(made.X, made.labels, 5)
