"""The benchmark of predictions over trees: every form gives the same answers, and its limits are what it says."""

import pytest

from spaceform.workflows.benches import loki


def test_all_forms_agree_and_are_measured():
    rows = loki.run(quick=True)
    assert [row["form"] for row in rows] == [
        "tree", "tree, all variances", "dense", "dense with table", "full matrix",
    ]  # fmt: skip
    assert {row["state"] for row in rows} == {"measured"}
    assert {row["agrees"] for row in rows} == {1.0}
    assert all(row["us_per_row"] > 0 and row["gb_per_s"] > 0 for row in rows)
    assert rows[0]["times_tree"] == 1


def test_a_matrix_that_does_not_fit_is_skipped(monkeypatch):
    monkeypatch.setattr(loki, "FULL_MATRIX_BYTES", 10)
    rows = loki.run(quick=True)
    assert rows[-1]["state"].startswith("skipped: 0 GB")
    assert "us_per_row" not in rows[-1]


def test_the_tree_has_the_depth_of_a_taxonomy():
    tree = loki.taxonomy(20_000, random_state=0)
    assert 6 < tree.depth.mean() < 10


def test_limits():
    assert loki.limit_bytes("tree", labels=1000, observed=100, spanned=50) == 2400
    assert loki.limit_bytes("dense", labels=1000, observed=100, spanned=50) == pytest.approx(116_000)
