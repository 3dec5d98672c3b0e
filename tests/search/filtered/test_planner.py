"""Costs are predicted for what will be opened, not for what lies around the query."""

import numpy as np

from spaceform.search.filtered.planner import Costs

COSTS = Costs(
    "machine", [1_000.0, 100.0, 10.0], {"S": [10.0, 1.0, 0.1], "I": [1.0, 3.0, 0.5]}, [1.0] * 12, [1.0] * 12
)  # fmt: skip


def test_cells_are_not_believed_to_be_cheap_where_matches_are_rare_around_the_query_alone():
    local = np.array([0.0, 0.01, 0.05, 0.1, 0.5])
    costs = COSTS.predict_cells(100, local, 1_000, exact=False)
    all_cells = 1.0 + 0.5
    assert costs[0] == costs[1] == all_cells  # of 100 matches in 1,000 rows a tenth as many: cheap, were there no more
    assert (costs[2:] <= all_cells).all()
    few = COSTS.predict_cells(10, np.array([0.01]), 1_000, exact=False)
    assert few[0] == min(0.5, 0.1 + 0.5)
