"""The next class to label: what a pick gains on trees, other metrics, and when nothing is left to gain."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.geometry import EmbeddingMetric, GraphMetric, TreeMetric
from spaceform.geometry.locus import locus
from spaceform.samplers.next_class import NextClassSelector


def random_tree(seed, n):
    return TreeMetric.from_edges(nx.random_labeled_tree(n, seed=seed).edges, labels=range(n))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_furthest_label_gains_its_distance_and_nothing_gains_more(seed):
    tree = random_tree(seed, 100)
    observed = np.random.default_rng(seed).permutation(100)[:5]
    before = locus(tree, observed)
    (pick,) = NextClassSelector(metric=tree).select(observed)
    gained = locus(tree, np.append(observed, pick)).sum() - before.sum()
    assert gained == tree.distances([pick], np.flatnonzero(before)).min()
    best = NextClassSelector(metric=tree, strategy="max_gain").path(observed, 1)
    assert gained == best.locus_sizes[1] - best.locus_sizes[0]


def test_a_path_of_picks_grows_until_all_is_reached():
    tree = random_tree(1, 100)
    path = NextClassSelector(metric=tree).path([0, 1], 100)
    assert (np.diff(path.locus_sizes) > 0).all()
    assert (np.diff(path.locus_sizes, 2) <= 0).all()  # gains fall
    assert path.locus_sizes[-1] == 100
    assert len(path.picks) == len(path.locus_sizes) - 1 < 98
    every = set(path.picks.tolist()) | {0, 1}
    assert set(tree.leaves().tolist()) <= every


def test_furthest_beats_random():
    furthest, random = [], []
    for seed in range(10):
        tree, observed = random_tree(seed, 100), np.random.default_rng(seed).permutation(100)[:5]
        furthest.append(NextClassSelector(metric=tree).path(observed, 10).locus_sizes[-1])
        selector = NextClassSelector(metric=tree, strategy="random", random_state=seed)
        random.append(selector.path(observed, 10).locus_sizes[-1])
    assert np.mean(furthest) > np.mean(random) + 5


def test_elsewhere_the_furthest_from_the_observed_is_taken():
    points = np.array([[0.0], [1.0], [10.0], [4.0]])
    path = NextClassSelector(metric=EmbeddingMetric(points)).path([0], 9)
    assert path.picks.tolist() == [2, 3, 1]
    assert path.locus_sizes.tolist() == [1, 2, 3, 4]


def test_exact_loci_of_a_graph():
    grid = nx.convert_node_labels_to_integers(nx.grid_2d_graph(3, 3))
    metric = GraphMetric.from_edges(grid.edges)
    exact = NextClassSelector(metric=metric, exact=True).path([0], 3)
    assert exact.picks.tolist() == [8]  # the opposite corner reaches everything
    assert exact.locus_sizes.tolist() == [1, 9]
    assert NextClassSelector(metric=metric, strategy="max_gain").select([0]).tolist() == [8]


def test_random_picks_are_outside_the_locus_and_repeat_with_the_seed():
    tree = random_tree(2, 30)
    selector = NextClassSelector(metric=tree, strategy="random", random_state=5)
    picks = selector.select([0, 1], n=4)
    np.testing.assert_array_equal(picks, selector.select([0, 1], n=4))
    assert not locus(tree, [0, 1])[picks[0]]
    points = NextClassSelector(metric=EmbeddingMetric(np.eye(4)), strategy="random", random_state=0)
    assert sorted(points.select([2], n=9).tolist()) == [0, 1, 3]


def test_bad_input_is_refused():
    tree = TreeMetric([-1, 0])
    with pytest.raises(InputError, match="'furthest', 'max_gain', 'random'"):
        NextClassSelector(metric=tree, strategy="nearest")
    with pytest.raises(InputError, match="budget"):
        NextClassSelector(metric=tree).path([0], -1)
    with pytest.raises(InputError, match="observed"):
        NextClassSelector(metric=tree).select([0, 0])
