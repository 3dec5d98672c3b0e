"""The benchmark of matching: its loop is the rule of the graph; nothing is timed in earnest here."""

import numpy as np
import torch

from spaceform.heads.growing.neighbor_graph import NeighborGraph
from spaceform.workflows.benches import matching


def test_rows_for_the_path_the_solver_and_the_edges(monkeypatch):
    monkeypatch.setattr(matching, "copying_rate", lambda: 1e10)
    monkeypatch.setattr(matching, "QUICK", (200, 8, 6))
    rows = matching.run(quick=True)
    assert list(dict.fromkeys(row["operation"] for row in rows)) == [
        "labels to accuracy",
        "assignment alone",
        "update of edges",
    ]
    assert {row["method"] for row in rows} >= {"spaceform", "lapx", "loop over rows", "sorted counts, SciPy"}


def test_the_loop_over_rows_is_the_rule_of_the_graph():
    graph, edges = NeighborGraph(k=matching.NEAREST), np.eye(20, dtype=np.float32)
    graph.grow(20)
    for seed in range(3):
        distances = np.random.default_rng(seed).random((12, 20), dtype=np.float32)
        graph.update(torch.from_numpy(distances))
        matching.update_by_loop(edges, distances)
        np.testing.assert_allclose(graph.edges, edges, rtol=1e-5)
