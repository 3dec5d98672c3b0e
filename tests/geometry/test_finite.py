"""One law suite for all label metrics, against their full matrix of distances, and what each must refuse."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.geometry import EmbeddingMetric, GraphMetric, MatrixMetric, PoincareBall, TreeMetric
from spaceform.geometry.finite import describe_components, name_array, some

KINDS = ("tree", "weighted tree", "graph", "weighted graph", "matrix", "embedding", "ball")
kinds = pytest.mark.parametrize("kind", KINDS)
seeds = st.integers(0, 10_000)


def make_metric(kind, seed, n=12):
    """Return a metric of ``kind`` over ``n`` labels and its full matrix of distances, by networkx or by definition."""
    rng = np.random.default_rng(seed)
    if kind.endswith(("tree", "graph")):
        base = (
            nx.random_labeled_tree
            if kind.endswith("tree")
            else lambda n, seed: nx.gnm_random_graph(n, 2 * n, seed=seed)
        )
        graph = base(n, seed=seed)
        if kind.endswith("graph"):
            nx.add_path(graph, rng.permutation(n).tolist())
        for _, _, data in graph.edges(data=True):
            data["weight"] = float(rng.integers(1, 5)) if kind.startswith("weighted") else 1.0
        lengths = [data["weight"] for *_, data in graph.edges(data=True)] if kind.startswith("weighted") else None
        build = TreeMetric.from_edges if kind.endswith("tree") else GraphMetric.from_edges
        D = np.asarray(nx.floyd_warshall_numpy(graph, nodelist=range(n)))
        return build(graph.edges, lengths=lengths, labels=range(n)), D
    points = rng.uniform(-0.5, 0.5, size=(n, 3))
    D = np.linalg.norm(points[:, None] - points[None], axis=-1)
    if kind == "ball":
        ball = PoincareBall()
        return EmbeddingMetric(points, metric=ball), ball.distance(points[:, None], points[None])
    return (EmbeddingMetric(points) if kind == "embedding" else MatrixMetric(D)), D


@kinds
@given(seed=seeds, n=st.integers(2, 14))
@settings(max_examples=20, deadline=None)
def test_rows_are_those_of_the_matrix(kind, seed, n):
    metric, D = make_metric(kind, seed, n)
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(0, n, 3), rng.permutation(n)[: max(1, n // 2)]
    assert len(metric) == n
    np.testing.assert_allclose(metric.distances(np.arange(n)), D, atol=1e-7)
    np.testing.assert_allclose(metric.distances(rows, columns), D[np.ix_(rows, columns)], atol=1e-7)
    np.testing.assert_allclose(metric.squared_distances(rows), D[rows] ** 2, atol=1e-7)
    np.testing.assert_allclose(metric.distance(rows[:, None], columns), D[np.ix_(rows, columns)], atol=1e-7)
    np.testing.assert_allclose(metric.closeness(rows, rows[::-1]), -D[rows, rows[::-1]], atol=1e-7)
    assert (metric.distances(rows)[np.arange(3), rows] == 0).all()


@kinds
@given(seed=seeds, n=st.integers(2, 14))
@settings(max_examples=20, deadline=None)
def test_means_are_those_of_a_slow_loop(kind, seed, n):
    metric, D = make_metric(kind, seed, n)
    rng = np.random.default_rng(seed)
    observed = rng.permutation(n)[: rng.integers(1, n + 1)]
    allowed = np.sort(rng.permutation(n)[: rng.integers(1, n + 1)])
    weights = rng.dirichlet(np.full(len(observed), 0.7), size=5)
    S = np.array(
        [[sum(w * D[o, y] ** 2 for w, o in zip(row, observed, strict=True)) for y in range(n)] for row in weights]
    )
    np.testing.assert_allclose(metric.variances(weights, observed), S, atol=1e-7)
    np.testing.assert_allclose(metric.variances(weights, observed, allowed), S[:, allowed], atol=1e-7)
    found, variance = metric.means(weights, observed)
    np.testing.assert_array_equal(found, S.argmin(1))
    np.testing.assert_allclose(variance, S.min(1), atol=1e-7)
    np.testing.assert_array_equal(
        metric.means(weights, observed, candidates=allowed)[0], allowed[S[:, allowed].argmin(1)]
    )
    assert metric.mean(observed, weights[0]) == S[0].argmin()
    np.testing.assert_array_equal(metric.means(7.5 * weights, observed)[0], found)


@kinds
def test_mean_of_one_point_is_that_point(kind):
    metric, _ = make_metric(kind, 0)
    assert [metric.mean([label]) for label in range(12)] == list(range(12))


@kinds
def test_check_accepts_its_ids_and_refuses_others(kind):
    metric, _ = make_metric(kind, 0)
    assert metric.check(np.array([0, 11])) is None
    assert "outside" in metric.check([12])
    assert "outside" in metric.check([-1])
    assert "integer" in metric.check([0.5])
    for call in (
        metric.distances,
        lambda ids: metric.distance(ids, 0),
        lambda ids: metric.variances(np.ones((1, 1)), ids),
    ):
        with pytest.raises(InputError, match="ids from 0 to 11"):
            call([12])


@kinds
@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1.0], [np.nan, 1.0], [1.0]])
def test_a_mean_refuses_bad_weights(kind, weights):
    with pytest.raises(InputError, match="weights"):
        make_metric(kind, 0)[0].mean([0, 1], weights)


def test_names_become_ids_and_unknown_ones_are_listed():
    metric = MatrixMetric(1 - np.eye(3), labels=["cat", "dog", "cow"])
    np.testing.assert_array_equal(metric.index([["cow", "cat"]]), [[2, 0]])
    with pytest.raises(InputError, match=r"'ant', 'bee', unknown to the label metric.*leave such rows out"):
        metric.index(["cat", "bee", "ant"], "y")


def test_names_have_to_be_distinct_and_as_many_as_labels():
    assert name_array(None, 3).tolist() == [0, 1, 2]
    for labels, message in ((["a", "b", "a"], "'a' more than once"), (["a"], "shape")):
        with pytest.raises(InputError, match=message):
            name_array(labels, 3)
    with pytest.raises(InputError, match="at least one"):
        name_array(None, 0)


def test_messages_are_short_whatever_there_is_to_say():
    assert some(["a", "b"]) == "'a', 'b'"
    assert some([str(i) for i in range(1000)]).endswith("'4' and 995 more")
    component = np.repeat(np.arange(7), [1, 9, 1, 1, 1, 1, 1])
    text = describe_components(component, np.arange(15))
    assert text.startswith("7 components: those of 1 (9 labels), 0 (1 label)")
    assert text.endswith("and 2 more")
