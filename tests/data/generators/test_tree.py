"""The tree of classes: distances on it, what a view keeps, what is drawn, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.clustering.kmeans import kmeans
from spaceform.data.generators.tree import make_tree_classes
from spaceform.errors import InputError
from spaceform.metrics.clustering import hungarian_accuracy


def unbent(x):
    """Solve ``x = h + sin(2h)/2`` by bisection: the map is monotone."""
    low, high = x - 1.0, x + 1.0
    for _ in range(60):
        middle = (low + high) / 2
        above = middle + 0.5 * np.sin(2 * middle) > x
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


@given(st.integers(0, 1000), st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_leaves_lie_at_the_lengths_of_their_edges(seed, branching):
    scales = [3.0, 1.5, 0.5][: len(branching)]
    tree = make_tree_classes(2, branching=branching, scales=scales, n_signal=5, random_state=seed)
    assert len(tree.leaves) == np.prod(branching)
    assert len(tree) == 2 * len(tree.leaves)
    assert np.linalg.norm(tree.leaves, axis=1).max() <= sum(scales) + 1e-9
    if len(branching) == 1:
        np.testing.assert_allclose(np.linalg.norm(tree.leaves, axis=1), 3.0)


def test_distances_count_edges():
    tree = make_tree_classes(1, branching=(2, 3), scales=(2, 1), random_state=0)
    same_parent = np.arange(6)[:, None] // 3 == np.arange(6) // 3
    expected = np.where(np.eye(6, dtype=bool), 0, np.where(same_parent, 2, 4))
    np.testing.assert_array_equal(tree.distances, expected)


def test_views_share_the_signal_and_not_the_nuisance():
    tree = make_tree_classes(20, jitter=0.1, random_state=0)
    first, second = tree.views(random_state=1), tree.views(random_state=2)
    np.testing.assert_array_equal(first, tree.views(random_state=1))
    np.testing.assert_allclose(tree.mixing @ tree.mixing.T, np.eye(32), atol=1e-10)
    ours, theirs = (unbent(view) @ tree.mixing.T for view in (first, second))
    assert (ours[:, :16] - tree.signal).std() == pytest.approx(0.1, rel=0.05)
    assert (ours[:, :16] - theirs[:, :16]).std() == pytest.approx(0.1 * 2**0.5, rel=0.05)
    assert (ours[:, 16:] - theirs[:, 16:]).std() == pytest.approx(2.5 * 2**0.5, rel=0.05)


def test_a_view_of_some_rows_is_theirs():
    tree = make_tree_classes(5, nuisance=0, jitter=0, random_state=0)
    rows = [7, 3, 3]
    np.testing.assert_allclose(tree.views(rows, random_state=0), tree.X[rows])


def test_draws_repeat_with_the_seed():
    one, two, other = (make_tree_classes(3, random_state=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.X, two.X)
    np.testing.assert_array_equal(one.views(random_state=0), two.views(random_state=0))
    assert not np.allclose(one.X, other.X)


def test_classes_are_hidden_in_what_is_observed_but_not_in_the_signal():
    tree = make_tree_classes(30, random_state=0)
    found = [kmeans(rows, 27, n_init=2, random_state=0).labels for rows in (tree.X, tree.signal)]
    hidden, clear = (hungarian_accuracy(tree.labels, labels) for labels in found)
    assert hidden < 0.25
    assert clear > 0.75


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"rows_per_class": 0}, "rows_per_class"),
        ({"branching": ()}, "branching"),
        ({"branching": (3, 0)}, "branching"),
        ({"scales": (1, 2)}, "scales"),
        ({"scales": (1, 2, 0)}, "scales"),
        ({"scales": (1, 2, np.nan)}, "scales"),
        ({"spread": -1}, "spread"),
        ({"n_signal": 0}, "n_signal"),
        ({"n_nuisance": -1}, "n_nuisance"),
        ({"nuisance": -1}, "nuisance"),
        ({"jitter": np.inf}, "jitter"),
    ],
)
def test_bad_input_is_refused(settings, name):
    with pytest.raises(InputError, match=name):
        make_tree_classes(**({"rows_per_class": 2} | settings))
