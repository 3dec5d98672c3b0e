"""Links lead to neighbours, in both directions, to every row, and away from rows that are all the same."""

import numpy as np
import pytest

from spaceform.search.filtered.graph.build import _MOST_COMPARED, _compared, build_graph
from spaceform.search.filtered.graph.linking import incoming
from spaceform.search.filtered.graph.links import DEGREE, is_wanted
from spaceform.search.filtered.scan.layout import METRICS, Base, frozen, lay_out, norms_of


def linked(X, metric="euclidean", seed=0, threads=1):
    """Return the base, the layout and the graph of rows."""
    base = Base(X, norms_of(X), np.arange(len(X)))
    generator = np.random.default_rng(seed)
    order, layout = lay_out(base, metric, n_cells=None, generator=generator)
    base = frozen(Base(np.ascontiguousarray(X[order]), base.norms[order], order.astype(np.int64)))
    return base, layout, build_graph(base, layout, metric, threads=threads, generator=generator)


def reached(graph):
    """The rows to which links lead from the captains."""
    seen = np.zeros(len(graph.links), bool)
    seen[graph.captains] = True
    front = graph.captains
    while len(front):
        others = np.unique(graph.links[front])
        front = others[(others >= 0) & ~seen[others]]
        seen[front] = True
    return seen


@pytest.mark.parametrize("metric", METRICS)
def test_lists_are_distinct_rows_and_hold_the_nearest(metric, rows):
    base, _, graph = linked(rows[0], metric)
    links = graph.links
    assert links.shape == (len(base.ids), DEGREE)
    assert links.dtype == np.int32
    assert links.max() < len(links)
    for node, listed in enumerate(links):
        inside = listed[listed >= 0]
        assert (listed[len(inside) :] == -1).all()
        assert len(np.unique(inside)) == len(inside) > 0
        assert node not in inside
    X = base.rows / np.linalg.norm(base.rows, axis=1, keepdims=True) if metric == "cosine" else base.rows
    gaps = ((X[:, None] - X) ** 2).sum(axis=2) if metric != "ip" else None
    if gaps is not None:
        np.fill_diagonal(gaps, np.inf)
        assert (links == gaps.argmin(axis=1)[:, None]).any(axis=1).mean() > 0.97
    assert reached(graph).mean() > 0.99


def test_the_same_rows_and_seed_give_the_same_graph_on_any_number_of_threads(rows):
    one, other = linked(rows[0], threads=1)[2], linked(rows[0], threads=2)[2]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not a.flags.writeable


def test_a_captain_stands_for_every_cell_and_groups_hold_each_once(rows):
    _, layout, graph = linked(rows[0])
    cells = np.searchsorted(layout.starts, graph.captains, side="right") - 1
    np.testing.assert_array_equal(np.sort(cells), np.flatnonzero(np.diff(layout.starts)))
    assert graph.groups[0] == 0
    assert graph.groups[-1] == len(graph.captains)
    for leader, first, last in zip(graph.leaders, graph.groups[:-1], graph.groups[1:], strict=True):
        assert leader in graph.captains[first:last]


@pytest.mark.parametrize("copies", [40, 300])
def test_links_lead_away_from_equal_rows(copies):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(600, 6)).astype(np.float32)
    X[:copies] = X[0]
    base, _, graph = linked(X)
    same = base.ids < copies
    for listed in graph.links[same]:
        inside = listed[listed >= 0]
        assert (~same[inside]).any()


def test_rows_that_are_all_the_same_are_linked():
    graph = linked(np.ones((700, 5), np.float32))[2]
    assert ((graph.links >= 0).sum(axis=1) > 0).all()


def test_very_large_cells_are_compared_with_a_part_of_the_rows():
    starts = np.array([0, 10, 10 + 3 * _MOST_COMPARED])
    assert len(_compared(np.array([1, 0]), starts)) <= _MOST_COMPARED
    np.testing.assert_array_equal(_compared(np.array([0]), starts), np.arange(10))


def test_sources_are_the_rows_that_link():
    links = np.array([[1, 2], [2, -1], [-1, -1], [2, 0]], np.int32)
    sources, ends = incoming(links)
    assert ends.tolist() == [1, 2, 5, 5]
    assert sources.tolist() == [3, 0, 0, 1, 3]


@pytest.mark.parametrize(
    ("graph", "n", "recall", "wanted"),
    [
        ("auto", 3_999_999, 0.95, False), ("auto", 4_000_000, 0.95, True), ("auto", 4_000_000, 1.0, False),
        (True, 256, 0.95, True), (True, 255, 0.95, False), (True, 10**6, 1.0, False), (False, 10**6, 0.9, False),
    ],
)  # fmt: skip
def test_when_rows_are_linked(graph, n, recall, wanted):
    assert is_wanted(graph, n, recall, compiled=True) is wanted


def test_none_are_linked_by_default_where_walks_are_not_compiled():
    assert not is_wanted("auto", 10**7, 0.95, compiled=False)
    assert is_wanted(True, 10**7, 0.95, compiled=False)
