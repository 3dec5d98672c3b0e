"""Minimum spanning trees against single linkage, networkx and persistent homology; ties, duplicates, scale."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import cdist

from spaceform.errors import InputError
from spaceform.ops import spanning
from spaceform.ops.spanning import euclidean_mst, matrix_mst


def cloud(kind, n, d, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, d))
    return {
        "gaussian": lambda: rng.normal(size=(n, d)),
        "clusters": lambda: centres[rng.integers(0, 20, n)] + 0.1 * rng.normal(size=(n, d)),
        "tight": lambda: centres[rng.integers(0, 20, n)] + 1e-4 * rng.normal(size=(n, d)),
        "collapsed": lambda: centres[rng.integers(0, 20, n)] + 1e-9 * rng.normal(size=(n, d)),
        "lattice": lambda: rng.integers(0, 3, (n, d)).astype(float),
        "offset": lambda: 1e4 + rng.normal(size=(n, d)),
        "outlier": lambda: np.vstack([rng.normal(size=(n - 1, d)), np.full((1, d), 1e6)]),
    }[kind]()


KINDS = ["gaussian", "clusters", "tight", "collapsed", "lattice", "offset", "outlier"]


def merge_heights(X):
    return np.sort(linkage(np.asarray(X, dtype=np.float64), "single")[:, 2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [40, 1400])
def test_lengths_are_single_linkage_heights(kind, n):
    X = cloud(kind, n, 12)
    lengths = euclidean_mst(X)[2]
    np.testing.assert_allclose(lengths, merge_heights(X), rtol=1e-12, atol=1e-12)
    assert lengths.dtype == np.float64


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_and_direct_route_choose_the_same_edges(kind, monkeypatch):
    """Ties are broken by row number, so even the edges agree, not only their lengths."""
    X = cloud(kind, 1200, 6)
    blocks = euclidean_mst(X)
    monkeypatch.setattr(spanning, "FEW_ROWS", 10**9)
    direct = euclidean_mst(X)
    for one, other in zip(blocks, direct, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_tile_size_changes_nothing(rows, monkeypatch):
    X = cloud("clusters", 1100, 5)
    expected = euclidean_mst(X)
    monkeypatch.setattr(spanning, "TILE_ROWS", rows)
    monkeypatch.setattr(spanning, "TILE_COLUMNS", 333)
    for one, other in zip(euclidean_mst(X), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_edges_form_a_spanning_tree_of_the_stated_lengths():
    X = cloud("clusters", 1300, 8)
    heads, tails, lengths = euclidean_mst(X)
    tree = nx.Graph(zip(heads, tails, strict=True))
    assert nx.is_tree(tree)
    assert tree.number_of_nodes() == 1300
    assert (heads < tails).all()
    assert (np.diff(lengths) >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(X[heads] - X[tails], axis=1), lengths, rtol=1e-12)


def test_float32_rows_are_measured_in_float64():
    X = cloud("gaussian", 1200, 20).astype(np.float32)
    np.testing.assert_allclose(euclidean_mst(X)[2], merge_heights(X), rtol=1e-12)


@pytest.mark.parametrize("n", [150, 1500])
def test_matches_ripser(n):
    ripser = pytest.importorskip("ripser")
    X = cloud("gaussian", n, 4)
    deaths = ripser.ripser(X, maxdim=0)["dgms"][0][:, 1]
    np.testing.assert_allclose(euclidean_mst(X)[2], np.sort(deaths[np.isfinite(deaths)]), rtol=1e-6)


def test_copies_are_joined_by_edges_of_length_zero():
    """SciPy's dense ``minimum_spanning_tree`` reads 0 as "no edge"; here ten copies of five rows give 45 zeros."""
    points = np.random.default_rng(0).normal(size=(5, 3))
    X = np.repeat(points, 10, axis=0)
    for _, _, lengths in (euclidean_mst(X), matrix_mst(cdist(X, X))):
        assert len(lengths) == 49
        assert (lengths == 0).sum() == 45
        np.testing.assert_allclose(lengths[45:], merge_heights(points), rtol=1e-12)


def test_zeros_of_both_signs_are_equal():
    assert euclidean_mst([[0.0, 1.0], [-0.0, 1.0]])[2].tolist() == [0.0]


def test_near_duplicates_keep_their_digits():
    X = np.array([[1e4, 1.0], [1e4, 1.0 + 2**-40], [0.0, 0.0]])
    assert euclidean_mst(X)[2][0] == 2**-40


def test_hand_value():
    heads, tails, lengths = euclidean_mst([[0.0], [1.0], [2.0], [10.0]])
    assert heads.tolist() == [0, 1, 2]
    assert tails.tolist() == [1, 2, 3]
    assert lengths.tolist() == [1.0, 1.0, 8.0]


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_extreme_units_neither_overflow_nor_vanish(scale):
    X = cloud("gaussian", 1100, 3)
    np.testing.assert_allclose(euclidean_mst(X * scale)[2] / scale, euclidean_mst(X)[2], rtol=1e-12)


def test_one_row_has_no_edges():
    assert [part.shape for part in euclidean_mst([[3.0, 4.0]])] == [(0,)] * 3
    assert [part.shape for part in matrix_mst([[0.0]])] == [(0,)] * 3


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(2, 12), st.integers(1, 4)), elements=st.integers(-3, 3).map(float)))
def test_rows_and_matrix_agree_and_equal_networkx(X):
    D = cdist(X, X)
    graph = nx.Graph()
    graph.add_weighted_edges_from((i, j, D[i, j]) for i in range(len(X)) for j in range(i))
    expected = sorted(edge["weight"] for *_, edge in nx.minimum_spanning_edges(graph))
    for _, _, lengths in (euclidean_mst(X), matrix_mst(D)):
        np.testing.assert_allclose(lengths, expected, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 6))
def test_lengths_do_not_depend_on_row_order(seed, n, d):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    np.testing.assert_allclose(euclidean_mst(X[rng.permutation(n)])[2], euclidean_mst(X)[2], rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "value", "part"),
    [
        (euclidean_mst, np.empty((0, 3)), "at least 1 row"),
        (euclidean_mst, [[np.nan, 0.0], [1.0, 2.0]], "NaN or an infinity"),
        (euclidean_mst, [1.0, 2.0], "shape"),
        (matrix_mst, np.zeros((2, 3)), "square"),
        (matrix_mst, [[0.0, 1.0], [2.0, 0.0]], "asymmetric"),
        (matrix_mst, [[0.0, np.inf], [np.inf, 0.0]], "infinity"),
    ],
)
def test_bad_input_is_refused(function, value, part):
    with pytest.raises(InputError, match=part):
        function(value)
