"""Costs are predicted for what will be opened, not for what lies around the query."""

import numpy as np
import pytest

from spaceform.search.filtered.index import FilteredIndex
from spaceform.search.filtered.scan.plans import OPENED


def slow_but_for_cells(X, attributes, *, metric, compiled=True):
    """Return an index to which every scan seems slow, so that cells are considered on any machine."""
    index = FilteredIndex(metric=metric, compiled=compiled, random_state=0).fit(X, attributes)
    costs = index._state.segment.costs
    costs.matches[:] = [float(len(X)), 1.0]
    for plan in costs.seconds:
        costs.seconds[plan] = [1.0, 1e-3] if plan[0] in "SBM" else [2e-4, 1e-4]
    costs._curves.clear()
    costs._arrays.clear()
    return index


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_where_nothing_matches_around_the_query_cells_cost_what_will_be_opened(metric):
    rng = np.random.default_rng(0)
    blob = np.repeat([0, 1, 2], [3_000, 2_000, 3_000])
    centres = np.array([[9.0, 0, 0, 0, 0, 0, 0, 0], [7, 6, 0, 0, 0, 0, 0, 0], [-9, 0, 0, 0, 0, 0, 0, 0]])
    X = rng.normal(size=(len(blob), 8)) + centres[blob]
    index = slow_but_for_cells(X, {"blob": blob}, metric=metric)
    plan = index.explain(centres[0], 10, where="blob != 0")
    each = 1e3 * index._state.segment.costs.predict("S", 5_000, exact=False) / 5_000
    believed = (plan.predicted_ms["I"] - 0.1) / each
    assert plan.name == "I"
    assert 10 <= plan.screened <= 2_000  # the blob behind the query's own, and not the one beyond
    assert plan.screened / 2 - OPENED <= believed <= 2_100  # so many are opened at once


def test_cells_are_not_believed_to_be_cheap_where_matches_are_rare_around_the_query_alone():
    rng = np.random.default_rng(0)
    blob = np.repeat([0, 1], 2_000)
    X = rng.normal(size=(4_000, 8)) + 2 * blob[:, None]
    rare = (blob == 1) | (rng.random(4_000) < 0.001)
    even = rng.random(4_000) < rare.mean()
    index = slow_but_for_cells(X, {"rare": rare, "even": even}, metric="euclidean")
    rare, even = (index.explain(np.zeros(8), 10, where=f"{name} = true").predicted_ms["I"] for name in ("rare", "even"))
    assert rare > 2 * even


def test_where_the_matches_around_the_query_suffice_cells_cost_what_is_opened():
    rng = np.random.default_rng(0)
    blob = np.repeat([0, 1], 2_000)
    X = rng.normal(size=(4_000, 8)) + 20 * blob[:, None]
    rare = (blob == 1) | (rng.random(4_000) < 0.01)
    index = slow_but_for_cells(X, {"rare": rare}, metric="euclidean")
    plan = index.explain(np.zeros(8), 10, where="rare = true")
    assert plan.name == "I"
    assert plan.screened < rare.sum() / 4
    assert 0.1 <= plan.predicted_ms["I"] < 1e3 * index._state.segment.costs.predict("S", rare.sum(), exact=False) / 4


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "ip"])
def test_compiled_and_numpy_believe_the_same(metric, rows, queries):
    X, far = rows[0], rows[0] @ queries[0] < np.median(rows[0] @ queries[0])
    told = []
    for compiled in (True, False):
        index = slow_but_for_cells(X, {"far": far}, metric=metric, compiled=compiled)
        index._state.segment.costs.recalls[:] = index._state.segment.costs.recalls_far[:] = [0.0] * 6 + [1.0] * 6
        told.append([index.explain(q, 10, where="far = true").predicted_ms.get("I") for q in queries])
    assert None not in told[0]
    np.testing.assert_allclose(*told)
