"""The benchmark measures what it says: equal answers, bounded peers, figures that can be read."""

import json
import math

import pytest

from spaceform.errors import InputError
from spaceform.workflows.benches import separability as bench


def test_methods_agree_and_ours_is_measured_first(monkeypatch):
    monkeypatch.setattr(bench, "QUICK", ((300, 8),))
    monkeypatch.setattr(bench, "_child", bench.measure)  # in this process: starting others takes seconds
    seen = []
    rows = bench.run(quick=True, progress=lambda task, done, total, figures=None: seen.append((done, total)))
    assert rows[0]["method"] == "spaceform"
    assert rows[0]["times ours"] == 1
    assert json.loads(json.dumps(rows)) == rows
    for row in rows:
        assert float(row["note"].removeprefix("differs by ")) < 1e-5
        assert row["seconds"] > 0
        assert row["times the limit"] > 0
    assert seen[-1][0] == seen[-1][1]


def test_a_child_process_measures_with_one_thread():
    found = bench._child("spaceform", 1200, 4)
    assert found["seconds"] > 0
    assert 10 < found["megabytes"] < 4000
    assert math.isfinite(found["total"])


def test_a_method_that_takes_too_long_or_too_much_is_stopped(monkeypatch):
    monkeypatch.setattr(bench, "SECONDS", 0.01)
    assert "stopped after" in bench._child("spaceform", 1200, 4)["reason"]
    monkeypatch.setattr(bench, "SECONDS", 60)
    monkeypatch.setattr(bench, "MEGABYTES", 900)
    assert bench._child("SciPy single linkage", 20_000, 2)["reason"] == "more than 900 MB"


def test_a_stopped_method_has_a_reason_and_no_figures():
    row = bench._figures({"reason": "stopped after 1 s"}, {"seconds": 1.0, "total": 1.0}, 1.0)
    assert row["seconds"] is None
    assert row["note"] == "stopped after 1 s"
    later = bench._figures({"seconds": 2.0, "megabytes": 1.0, "total": 3.0}, {"reason": "stopped"}, 1.0)
    assert later["times ours"] is None
    assert later["times the limit"] == 2


def test_unknown_methods_are_refused():
    with pytest.raises(InputError, match="spaceform"):
        bench.measure("guess", 10, 2)
