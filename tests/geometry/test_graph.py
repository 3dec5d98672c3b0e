"""Graph metrics: how they may be given, and what is refused."""

import networkx as nx
import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array

from spaceform.errors import InputError
from spaceform.geometry import GraphMetric


def test_an_edge_may_be_given_once_or_twice():
    one_way = np.array([[0, 2, 0], [0, 0, 3], [0, 0, 0.0]])
    for given in (one_way, one_way + one_way.T, csr_array(one_way), coo_array(one_way.T)):
        np.testing.assert_allclose(GraphMetric(given).distances([0])[0], [0, 2, 5])
    np.testing.assert_allclose(GraphMetric(one_way, weighted=False).distances([0])[0], [0, 1, 2])


def test_loops_do_not_matter_and_of_parallel_edges_the_shortest_counts():
    np.testing.assert_allclose(GraphMetric([[5.0, 1.0], [1.0, 0.0]]).distances([0])[0], [0, 1])
    metric = GraphMetric.from_edges([("a", "b"), ("b", "a")], lengths=[3.0, 2.0])
    np.testing.assert_allclose(metric.distances([0])[0], [0, 2])


def test_components_are_named_or_the_largest_is_kept():
    edges = [("cat", "dog"), ("oak", "elm"), ("elm", "fir")]
    with pytest.raises(InputError, match=r"2 components: those of elm \(3 labels\), cat \(2 labels\)"):
        GraphMetric.from_edges(edges)
    kept = GraphMetric.from_edges(edges, component="largest")
    assert kept.labels.tolist() == ["elm", "fir", "oak"]
    np.testing.assert_allclose(kept.distances([1])[0], [1, 0, 2])


def test_opposite_corners_of_a_grid():
    grid = nx.grid_2d_graph(3, 3)
    names = {node: i for i, node in enumerate(sorted(grid))}
    metric = GraphMetric.from_edges([(names[a], names[b]) for a, b in grid.edges])
    assert metric.mean([0, 8]) == 2  # the anti-diagonal 2, 4, 6 ties


@pytest.mark.parametrize(
    ("adjacency", "message"),
    [
        (np.array([[0, -1.0], [-1.0, 0]]), "length -1"),
        (np.array([[0, np.nan], [0, 0]]), "length nan"),
        (np.array([[0, np.inf], [0, 0]]), "length inf"),
        (np.array([[0, 1.0], [2.0, 0]]), "two lengths"),
        (np.zeros((2, 3)), "square"),
        (np.zeros(3), "square"),
        (csr_array((2, 3)), "square"),
        (np.array([["a"]]), "square"),
        (np.zeros((2, 2)), "2 components"),
    ],
)
def test_what_is_no_graph_is_refused(adjacency, message):
    with pytest.raises(InputError, match=message):
        GraphMetric(adjacency)


def test_bad_edges_are_refused():
    with pytest.raises(InputError, match="one per edge"):
        GraphMetric.from_edges([(0, 1)], lengths=[1.0, 2.0])
    with pytest.raises(InputError, match="length 0"):
        GraphMetric.from_edges([(0, 1)], lengths=[0.0])
    with pytest.raises(InputError, match="component"):
        GraphMetric.from_edges([(0, 1)], component="some")
    with pytest.raises(InputError, match="the label 2"):
        GraphMetric.from_edges([(0, 2)], labels=[0, 1])
