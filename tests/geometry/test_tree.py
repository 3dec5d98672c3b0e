"""Trees: their building, joined forests, spanned subtrees and nearest labels, against networkx and slow loops."""

import tracemalloc

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.geometry import MatrixMetric, TreeMetric

seeds = st.integers(0, 10_000)


def random_tree(seed, n):
    return nx.random_labeled_tree(n, seed=seed)


def build(graph):
    return TreeMetric.from_edges(graph.edges, labels=range(len(graph)))


@given(seed=seeds, n=st.integers(2, 20))
@settings(max_examples=40, deadline=None)
def test_spanned_subtree_is_the_union_of_all_paths(seed, n):
    graph = random_tree(seed, n)
    kept = np.random.default_rng(seed).permutation(n)[: 1 + seed % n]
    on_paths = {v for a in kept for b in kept for v in nx.shortest_path(graph, a, b)}
    assert set(np.flatnonzero(build(graph).spanned(kept))) == on_paths


@given(seed=seeds, n=st.integers(2, 20))
@settings(max_examples=40, deadline=None)
def test_nearest_distances_and_leaves(seed, n):
    graph = random_tree(seed, n)
    tree = build(graph)
    kept = np.random.default_rng(seed).permutation(n)[: 1 + seed % n]
    np.testing.assert_allclose(tree.nearest_distances(kept), tree.distances(kept).min(axis=0))
    assert tree.leaves().tolist() == [v for v in range(n) if graph.degree(v) == 1]


@given(seed=seeds, n=st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_parents_and_depths_are_given_back(seed, n):
    rng = np.random.default_rng(seed)
    parent = np.array([-1] + [rng.integers(0, i) for i in range(1, n)])
    shuffle = rng.permutation(n)
    renamed = np.full(n, -1)
    renamed[shuffle] = np.where(parent < 0, -1, shuffle[parent])
    lengths = rng.uniform(0.1, 2, n)
    tree = TreeMetric(renamed, lengths=lengths)
    np.testing.assert_array_equal(tree.parent, renamed)
    root = int(np.flatnonzero(renamed < 0)[0])
    np.testing.assert_allclose(tree.depth, tree.distances([root])[0])


@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_candidates_outside_the_spanned_subtree_are_found(seed):
    tree = build(random_tree(seed, 15))
    rng = np.random.default_rng(seed)
    observed, leaves = rng.permutation(15)[:4], tree.leaves()
    weights = rng.dirichlet(np.ones(4), size=6)
    S = weights @ tree.squared_distances(observed, leaves)
    found, variance = tree.means(weights, observed, candidates=leaves)
    np.testing.assert_allclose(variance, S.min(axis=1), atol=1e-9)
    np.testing.assert_allclose(S[np.arange(6), np.searchsorted(leaves, found)], S.min(axis=1), atol=1e-9)


def test_many_rows_and_a_deep_tree_run_in_batches():
    n = 3000
    path = TreeMetric(np.arange(-1, n - 1))
    weights = np.random.default_rng(0).uniform(size=(300, 2))
    share = weights[:, 1] / weights.sum(axis=1)
    found, variance = path.means(weights, [0, n - 1])
    assert np.abs(found - share * (n - 1)).max() < 0.5 + 1e-4
    dense = weights[:3] @ path.squared_distances([0, n - 1])
    np.testing.assert_allclose(path.variances(weights[:3], [0, n - 1]), dense, rtol=1e-9)
    np.testing.assert_allclose(variance[:3], dense.min(axis=1), rtol=1e-9)


def test_ties_go_to_the_lowest_id_whatever_the_rounding():
    for scale in (1.0, 1e-6, 3e7):
        path = TreeMetric([3, 0, 1, -1], lengths=np.full(4, scale))  # 3 - 0 - 1 - 2
        assert path.mean([3, 2], [0.5, 0.5]) == 0
        assert path.mean([3, 2], [0.1 + 0.2, 0.3]) == 0  # 0.1 + 0.2 is not 0.3
        weights = np.array([[0.1, 0.1]], dtype=np.float32) * np.array([1, 1 + 1e-7], dtype=np.float32)
        assert path.means(weights, [3, 2])[0] == 0


def test_a_forest_is_refused_by_name_or_joined():
    parent, labels = [-1, 0, 0, -1, 3], ["cat", "lion", "tiger", "oak", "cork"]
    with pytest.raises(InputError, match=r"2 components: those of cat \(3 labels\), oak \(2 labels\).*root_distance="):
        TreeMetric(parent, labels=labels)
    joined = TreeMetric(parent, labels=labels, root_distance=5.0)
    graph = nx.Graph([(0, 1), (0, 2), (3, 4)])
    graph.add_edge(0, 3, weight=5)
    D = nx.floyd_warshall_numpy(graph, nodelist=range(5))
    np.testing.assert_allclose(joined.distances(np.arange(5)), D)
    np.testing.assert_array_equal(joined.parent, parent)
    assert joined.leaves().tolist() == [1, 2, 4]
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(2), size=50)
    expected = (weights @ D[[1, 4]] ** 2).argmin(axis=1)
    np.testing.assert_array_equal(joined.means(weights, [1, 4])[0], expected)
    np.testing.assert_array_equal(joined.spanned([1, 4]), [True, True, False, True, True])


def test_three_roots_are_equally_far_from_each_other():
    tree = TreeMetric([-1, -1, -1], root_distance=2.0)
    np.testing.assert_allclose(tree.distances([0, 1, 2]), 2 * (1 - np.eye(3)))
    assert tree.mean([1, 2]) == 1  # the hub between them is no label
    assert tree.leaves().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("parent", "options", "message"),
    [
        ([1, 2, 0, -1], {"labels": ["a", "b", "c", "d"]}, "a cycle of '.', '.', '.'"),
        ([0], {}, "a cycle of '0'"),
        ([-1, 5], {}, "out of range"),
        ([-1, -2], {}, "out of range"),
        ([-1.0, 0.0], {}, "parent ids"),
        ([[-1, 0]], {}, "parent ids"),
        ([], {}, "at least one"),
        ([-1, 0], {"lengths": [1.0, 0.0]}, "finite lengths > 0"),
        ([-1, 0], {"lengths": [1.0, np.nan]}, "finite lengths > 0"),
        ([-1, 0], {"lengths": [1.0]}, "one per label"),
        ([-1, -1], {"root_distance": 0.0}, "root_distance"),
    ],
)
def test_what_is_no_tree_is_refused(parent, options, message):
    with pytest.raises(InputError, match=message):
        TreeMetric(np.array(parent, dtype=np.int64) if parent == [] else parent, **options)


def test_edges_need_not_say_who_is_the_parent():
    edges = [("b", "a"), ("b", "c"), ("d", "c")]
    tree = TreeMetric.from_edges(edges, lengths=[1.0, 2.0, 4.0])
    assert tree.labels.tolist() == ["a", "b", "c", "d"]
    np.testing.assert_allclose(tree.distances([0])[0], [0, 1, 3, 7])
    rooted = TreeMetric.from_edges(edges, lengths=[1.0, 2.0, 4.0], root="c")
    np.testing.assert_allclose(rooted.distances(range(4)), tree.distances(range(4)))
    assert rooted.parent.tolist() == [1, 2, -1, 2]


@pytest.mark.parametrize(
    ("edges", "options", "message"),
    [
        ([("a", "b"), ("b", "c"), ("c", "a")], {}, "some close a cycle"),
        ([("a", "b"), ("a", "b")], {}, "some close a cycle"),
        ([("a", "b"), ("c", "d")], {}, "2 components: those of a .2 labels., c .2 labels."),
        ([("a", "b")], {"labels": ["a"]}, "the label b"),
        ([("a", "b")], {"root": "c"}, "root"),
        ([("a", "b")], {"lengths": [1.0, 2.0]}, "one per edge"),
        ([("a", "b", "c")], {}, "pairs of labels"),
    ],
)
def test_edges_that_make_no_tree_are_refused(edges, options, message):
    with pytest.raises(InputError, match=message):
        TreeMetric.from_edges(edges, **options)


def test_a_tree_is_the_same_metric_as_its_matrix():
    tree = build(random_tree(3, 40))
    matrix = MatrixMetric(tree.distances(np.arange(40)), check_triangle=True)
    weights = np.random.default_rng(0).dirichlet(np.ones(6), size=30)
    np.testing.assert_array_equal(tree.means(weights, np.arange(6))[0], matrix.means(weights, np.arange(6))[0])


def test_eighty_thousand_labels_need_no_matrix():
    n = 80_000
    rng = np.random.default_rng(0)
    parent = np.floor(np.arange(n) * rng.beta(2, 1.2, n) / 2).astype(np.int64)
    parent[0] = -1
    observed, weights = rng.permutation(n)[:1000], rng.dirichlet(np.full(1000, 0.01), size=64)
    tracemalloc.start()
    tree = TreeMetric(parent)
    found, variance = tree.means(weights, observed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # a full matrix is 51 GB, the table of observed rows 640 MB
    others = rng.permutation(n)[:500]
    dense = weights @ tree.squared_distances(observed, np.append(others, found))
    np.testing.assert_allclose(dense[np.arange(64), 500 + np.arange(64)], variance, rtol=1e-9)
    assert (dense.min(axis=1) >= variance * (1 - 1e-9)).all()
