"""Walks answer with passing rows only, the same compiled and in NumPy, and give up where they find too few."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.filtered.conftest import draw
from search.filtered.graph.test_build import linked
from spaceform.search.exact import exact_search
from spaceform.search.filtered.graph.walking import walked
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.engine import PLANS, Engine, Wanted
from spaceform.search.filtered.scan.layout import METRICS
from spaceform.search.filtered.sets.selected import Marked


@pytest.fixture(scope="module")
def graphs():
    """Graphs of the same rows under every metric."""
    X = draw()[0]
    return {metric: linked(X, metric) for metric in METRICS}


def answers(data, mask, queries, k, *, metric="euclidean", compiled=True, near=40.0, far=40.0, threads=1):
    """Answer among the rows of a mask by id."""
    base, layout, graph = data
    rows = Marked(bitmaps.pack(mask[base.ids]), int(mask.sum()))
    return walked(
        Engine(metric, compiled, threads), Wanted(PLANS["G"], near=near, far=far), queries, k,
        rows=rows, base=base, layout=layout, graph=graph, recall=0.95,
    )  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("share", [1.0, 0.5, 0.3, 0.03, 0.002])
def test_compiled_and_numpy_agree_to_the_bit(metric, share, graphs, queries):
    mask = np.random.default_rng(3).random(2_000) < share
    compiled = answers(graphs[metric], mask, queries, 10, metric=metric)
    plain = answers(graphs[metric], mask, queries, 10, metric=metric, compiled=False)
    for ours, theirs in zip((*compiled[0], compiled[1]), (*plain[0], plain[1]), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    shared = answers(graphs[metric], mask, queries, 10, metric=metric, threads=2)
    for ours, theirs in zip((*compiled[0], compiled[1]), (*shared[0], shared[1]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(20, 200), d=st.integers(1, 12), k=st.integers(1, 12), metric=st.sampled_from(METRICS),
    seed=st.integers(0, 99), share=st.sampled_from([0.02, 0.2, 0.6, 1.0]),
)  # fmt: skip
def test_whatever_the_mask_answers_pass_are_distinct_and_the_same_in_numpy(n, d, k, metric, seed, share):
    generator = np.random.default_rng(seed)
    X = generator.integers(-2, 3, (n, d)).astype(np.float32)
    X[:, 0] += np.float32(0.5)
    mask = generator.random(n) < share
    mask[0] = True
    data = linked(X, metric, seed=seed)
    found, told = answers(data, mask, X[:3], k, metric=metric)
    plain, told_plainly = answers(data, mask, X[:3], k, metric=metric, compiled=False)
    np.testing.assert_array_equal(told, told_plainly)
    np.testing.assert_array_equal(found.ids, plain.ids)
    np.testing.assert_array_equal(found.seen, plain.seen)
    for ids, code in zip(found.ids, told[:, 0], strict=True):
        inside = ids[ids >= 0]
        assert mask[inside].all()
        assert len(np.unique(inside)) == len(inside)
        assert len(inside) == (min(k, mask.sum()) if code >= 0 else 0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["zero", "positive", "negative"])
def test_a_long_beam_finds_nearly_all(metric, kind, graphs, rows):
    X, attributes = rows
    generator = np.random.default_rng(5)
    asked = X[generator.choice(len(X), 40, replace=False)] + generator.normal(size=(40, X.shape[1])).astype("f4") / 4
    masks = {
        "zero": generator.random(len(X)) < 0.4,
        "positive": attributes["group"] < 10,
        "negative": attributes["group"] >= 10,
    }
    near = exact_search(asked, X, k=1, metric=metric).rows[:, 0]
    chosen = attributes["group"][near] < 10 if kind != "zero" else np.ones(40, bool)
    truth = exact_search(asked[chosen], X, k=10, metric=metric, mask=masks[kind]).rows
    found, told = answers(graphs[metric], masks[kind], asked[chosen], 10, metric=metric, near=200.0, far=200.0)
    assert (told[:, 0] == PLANS["G"]).mean() > 0.9
    given_up = told[:, 0] < 0
    shares = [np.isin(t, f).mean() for t, f in zip(truth[~given_up], found.ids[~given_up], strict=True)]
    assert np.mean(shares) > 0.95


def test_scores_are_exact_and_ordered(graphs, queries):
    X, mask = draw()[0], np.ones(2_000, bool)
    found, _ = answers(graphs["euclidean"], mask, queries, 10)
    for query, ids, closeness in zip(queries, found.ids, found.closeness, strict=True):
        true = -np.sqrt(((query.astype(np.float64) - X[ids].astype(np.float64)) ** 2).sum(axis=1))
        np.testing.assert_allclose(closeness, true, rtol=1e-12)
        assert list(zip(-closeness, ids, strict=True)) == sorted(zip(-closeness, ids, strict=True))
    assert (found.seen[:, 0] < 1_500).all()
    assert (found.seen[:, 1] <= found.seen[:, 0]).all()


def test_it_gives_up_where_it_may_not_go_far_or_finds_too_few(graphs, rows, queries):
    data, everything = graphs["euclidean"], np.ones(2_000, bool)
    assert (answers(data, everything, queries, 10, near=0.0)[1][:, 0] == -1).all()
    far = rows[1]["group"] == 7  # one cluster, far from most queries
    told = answers(data, far, queries, 10, near=40.0, far=0.0)[1]
    assert (told[:, 0] == -1).any()
    assert (answers(data, everything, queries, 2_000)[1][:, 0] == -1).all()  # more than a scan would take
    few = np.zeros(2_000, bool)
    few[[4, 900, 1_700]] = True
    found, told = answers(data, few, queries, 10)
    complete = told[:, 0] >= 0
    assert (np.sort(found.ids[complete], axis=1)[:, -3:] == [4, 900, 1_700]).all()
    assert (found.ids[~complete] == -1).all()


def test_links_that_point_outside_end_a_list(graphs, queries):
    base, layout, graph = graphs["euclidean"]
    for wrong in (2**31 - 1, -7, 2_000):
        links = graph.links.copy()
        links[::3, 5] = wrong
        links[::7, 0] = wrong
        data = base, layout, graph._replace(links=links)
        one = answers(data, np.ones(2_000, bool), queries, 10)
        other = answers(data, np.ones(2_000, bool), queries, 10, compiled=False)
        np.testing.assert_array_equal(one[0].ids, other[0].ids)
        assert one[0].ids.max() < 2_000
