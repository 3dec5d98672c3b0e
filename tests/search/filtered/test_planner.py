"""Costs are predicted for what will be opened, not for what lies around the query."""

import numpy as np
import pytest

from spaceform.search.filtered.index import FilteredIndex


def test_cells_are_not_believed_to_be_cheap_where_matches_are_rare_around_the_query_alone():
    rng = np.random.default_rng(0)
    blob = np.repeat([0, 1], 2_000)
    X = rng.normal(size=(4_000, 8)) + 20 * blob[:, None]
    rare = (blob == 1) | (rng.random(4_000) < 0.01)
    even = rng.random(4_000) < rare.mean()
    index = FilteredIndex(metric="euclidean").fit(X, {"rare": rare, "even": even})
    costs = index._state.segment.costs
    for slow in ("S", "B"):  # so that cells are considered on any machine
        costs.seconds[slow] = [1.0] * len(costs.matches)
        costs._curves.pop((slow, False), None)

    def predicted(name):
        return index.explain(np.zeros(8), 10, where=f"{name} = true").predicted_ms["I"]

    everything = costs.predict("S", rare.sum(), exact=False) + costs.predict("I", 0, exact=False)
    assert predicted("rare") == pytest.approx(1e3 * everything, abs=1e-3)
    assert predicted("even") <= predicted("rare") * 1.1
