"""Loci: pruning, the union of paths and the linear programme agree; the known cases of the paper hold."""

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.geometry import EmbeddingMetric, GraphMetric, MatrixMetric, TreeMetric
from spaceform.geometry.locus import is_locus_cover, locus, minimum_locus_cover_tree
from spaceform.ops.frechet import frechet_mean, frechet_mean_set


def graph_metric(graph):
    names = {node: i for i, node in enumerate(sorted(graph))}
    return GraphMetric.from_edges([(names[a], names[b]) for a, b in graph.edges]), names


@given(seed=st.integers(0, 10_000), n=st.integers(12, 20))
@settings(max_examples=8, deadline=None)
def test_pruning_paths_and_linear_programmes_agree_on_trees(seed, n):
    graph = nx.random_labeled_tree(n, seed=seed)
    tree = TreeMetric.from_edges(graph.edges, labels=range(n))
    observed = np.random.default_rng(seed).permutation(n)[: 2 + seed % 4]
    pruned = locus(tree, observed)
    paths = {v for a, b in itertools.combinations(observed, 2) for v in nx.shortest_path(graph, a, b)}
    assert set(np.flatnonzero(pruned)) == paths
    np.testing.assert_array_equal(locus(tree, observed, method="lp"), pruned)


@given(seed=st.integers(0, 10_000), n=st.integers(2, 20))
@settings(max_examples=30, deadline=None)
def test_leaves_are_the_smallest_cover_of_a_tree(seed, n):
    graph = nx.random_labeled_tree(n, seed=seed)
    tree = TreeMetric.from_edges(graph.edges, labels=range(n))
    leaves = minimum_locus_cover_tree(tree)
    assert is_locus_cover(tree, leaves)
    for leaf in leaves if len(leaves) > 1 else []:
        others = np.setdiff1d(np.arange(n), [leaf])  # not even all other labels cover a missing leaf
        assert not is_locus_cover(tree, others)


def test_a_pair_reaches_the_point_at_distance_t_with_weight_t_over_length():
    path = TreeMetric(np.arange(-1, 9))
    for t in range(10):
        assert path.mean([0, 9], [1 - t / 9, t / 9]) == t


def test_opposite_corners_cover_a_grid_only_with_ties():
    metric, names = graph_metric(nx.grid_2d_graph(3, 4))
    opposite = [names[0, 0], names[2, 3]]
    assert is_locus_cover(metric, opposite)
    squares = metric.squared_distances(opposite)
    weights = np.stack([np.linspace(0, 1, 101), np.linspace(1, 0, 101)], axis=1)
    assert frechet_mean_set(weights, squares).any(axis=0).all()
    assert len(set(frechet_mean(weights, squares).tolist())) < 12  # one answer per weight can't cover
    side = np.flatnonzero(locus(metric, [names[0, 0], names[0, 3]]))
    assert side.tolist() == [names[0, column] for column in range(4)]


def test_a_complete_graph_reaches_the_observed_labels_only():
    metric = MatrixMetric(1 - np.eye(6))
    assert np.flatnonzero(locus(metric, [4, 1])).tolist() == [1, 4]
    assert is_locus_cover(metric, range(6))


def test_leaves_of_a_balanced_tree_alone_have_no_cover():
    tree = TreeMetric([-1] + [(i - 1) // 2 for i in range(1, 15)])
    leaves = tree.leaves()
    metric = MatrixMetric(tree.distances(leaves, leaves))
    for size in (2, 4, 7):
        observed = np.random.default_rng(size).permutation(8)[:size]
        assert np.flatnonzero(locus(metric, observed)).tolist() == np.sort(observed).tolist()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_whatever_a_weight_reaches_is_in_the_locus(seed):
    rng = np.random.default_rng(seed)
    metric = EmbeddingMetric(rng.normal(size=(15, 2)))
    observed = rng.permutation(15)[:4]
    reached = frechet_mean(rng.dirichlet(np.full(4, 0.5), size=2000), metric.squared_distances(observed))
    assert locus(metric, observed)[reached].all()


def test_one_label_reaches_itself_and_coinciding_ones():
    assert np.flatnonzero(locus(MatrixMetric(1 - np.eye(3)), [1])).tolist() == [1]
    assert locus(TreeMetric([-1]), [0]).tolist() == [True]
    assert locus(MatrixMetric([[0.0]]), [0]).tolist() == [True]


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="'lp' for a MatrixMetric"):
        locus(MatrixMetric(1 - np.eye(3)), [0], method="tree")
    with pytest.raises(InputError, match="method"):
        locus(TreeMetric([-1]), [0], method="paths")
    with pytest.raises(InputError, match="more than once"):
        locus(TreeMetric([-1, 0]), [1, 1])
    with pytest.raises(InputError, match="a TreeMetric"):
        minimum_locus_cover_tree(MatrixMetric(1 - np.eye(3)))
