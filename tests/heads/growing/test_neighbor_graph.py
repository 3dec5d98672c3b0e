"""The graph against a loop over rows, by hand, and its invariants."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.heads.growing.neighbor_graph import NeighborGraph


def graph_of(classes, k=2, **options):
    graph = NeighborGraph(k=k, **options)
    graph.grow(classes)
    return graph


def slow(edges, distances, k, decay, e_min):
    """The rule as two loops: over rows, then over pairs."""
    size = len(edges)
    visits, hits = [0] * size, [[0] * size for _ in range(size)]
    for row in distances.tolist():
        order = sorted(range(size), key=lambda j: row[j])
        visits[order[0]] += 1
        for j in order[:k]:
            hits[order[0]][j] += 1
    for a in range(size):
        for j in range(size):
            value = max(edges[a][j], 1.0 if hits[a][j] else 0.0) * decay ** max(0, visits[a] - hits[a][j])
            edges[a][j] = value if value >= e_min else 0.0
    return [[(edges[a][j] + edges[j][a]) / 2 for j in range(size)] for a in range(size)]


def test_by_hand():
    graph = graph_of(3)
    graph.update(torch.tensor([[0.0, 1, 2], [0, 1, 2], [0, 2, 1], [1, 0, 2]]))
    torch.testing.assert_close(graph.edges, torch.tensor([[1, 0.9, 0.81], [1, 1, 0], [0, 0, 1]]))
    graph.symmetrize()
    torch.testing.assert_close(graph.edges, torch.tensor([[1, 0.95, 0.405], [0.95, 1, 0], [0.405, 0, 1]]))


@given(st.integers(0, 999), st.integers(2, 7), st.integers(1, 9), st.integers(1, 20))
def test_updates_equal_the_loops_and_keep_the_invariants(seed, classes, k, rows):
    generator = torch.Generator().manual_seed(seed)
    graph = graph_of(classes, k=k)
    edges = graph.edges.tolist()
    for _ in range(3):
        distances = torch.rand(rows, classes, generator=generator)
        graph.update(distances)
        graph.symmetrize()
        edges = slow(edges, distances, min(k, classes), 0.9, 0.9**10)
        torch.testing.assert_close(graph.edges, torch.tensor(edges))
        assert torch.equal(graph.edges.diagonal(), torch.ones(classes)), "a winner always hits itself"
        assert torch.equal(graph.edges, graph.edges.T)
        inside = graph.edges[graph.edges > 0]
        assert (inside.min() >= 0.9**10 / 2 - 1e-6) & (inside.max() <= 1)


def test_growth_draws_and_state():
    graph = graph_of(3)
    graph.update(torch.tensor([[0.0, 1, 2]]))
    graph.symmetrize()
    graph.grow(2)
    assert graph.edges[3:].tolist() == [[0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
    assert graph.neighbors(0).tolist() == [1]
    drawn = graph.sample_neighbors(torch.zeros(200, dtype=torch.int64), torch.Generator().manual_seed(0))
    assert sorted(set(drawn.tolist())) == [0, 1], "the edge to itself is one of them"
    other = NeighborGraph(k=2)
    other.load_state_dict(graph.state_dict())
    assert torch.equal(other.edges, graph.edges)


def test_what_is_refused():
    for bad in ({"decay": 1.0}, {"decay": 0.0}, {"e_min": 1.0}, {"k": 0}):
        with pytest.raises(InputError):
            NeighborGraph(**bad)
    for distances in (torch.ones(2, 4), torch.ones(0, 3), torch.full((1, 3), torch.nan)):
        with pytest.raises(InputError, match="distances"):
            graph_of(3).update(distances)
