"""The benchmark of Sinkhorn compares plans that agree, if POT is there; nothing is timed in earnest here."""

import sys
from types import SimpleNamespace

import torch

from spaceform.workflows.benches import sinkhorn
from spaceform.workflows.benching.turns import ABSENT


def solve(a, b, cost, epsilon, *, method, numItermax, stopThr, warn):  # POT's own names
    plan = (-cost / epsilon).exp()
    for _ in range(numItermax):
        plan = plan / plan.sum(0) * b
        plan = plan / plan.sum(1, keepdim=True) * a[:, None]
    return plan


def test_a_row_for_each_method_and_how_far_plans_are_apart(monkeypatch):
    monkeypatch.setattr(sinkhorn, "copying_rate", lambda: 1e10)
    monkeypatch.setattr(sinkhorn.importlib.util, "find_spec", lambda name: None)
    assert [row["note"] for row in sinkhorn.run(quick=True)] == ["", ABSENT, ABSENT]
    monkeypatch.setattr(sinkhorn.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "ot", SimpleNamespace(sinkhorn=solve))
    rows = sinkhorn.run(quick=True)
    assert [row["method"] for row in rows] == ["spaceform", *sinkhorn.METHODS]
    assert all(row["ms"] > 0 for row in rows)
    assert float(rows[1]["note"].split()[-1]) < 1e-5
    assert torch.allclose(sinkhorn._cosines(4, 3).abs().clamp(max=1), sinkhorn._cosines(4, 3).abs())
