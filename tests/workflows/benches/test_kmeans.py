"""The benchmark of k-means compares the same work; nothing is timed in earnest here."""

import numpy as np
import pytest

from spaceform.clustering.kmeans import lloyd
from spaceform.workflows.benches import kmeans


@pytest.fixture
def rows(monkeypatch):
    for name, size in {"QUICK_ROWS": 400, "DIM": 12, "CLUSTERS": 8, "KNOWN": 3}.items():
        monkeypatch.setattr(kmeans, name, size)
    return kmeans.run(quick=True, repeats=0)


def test_rows_say_what_was_done_and_how_long_the_peer_takes(rows):
    named = {row["method"]: row for row in rows}
    assert named["k-means"]["steps"] == named[kmeans.PEER]["steps"] == kmeans.STEPS
    assert named[kmeans.PEER]["ratio"] == named["product of rows and centres"]["products"] == 1
    assert {"semi-supervised k-means", "NCD k-means, seeding"} <= named.keys()
    assert all(row["seconds"] > 0 for row in rows)
    ours, theirs = named["NCD k-means, seeding"], named[f"{kmeans.PEER}, seeding"]
    assert ours["ratio"] == pytest.approx(ours["seconds"] / theirs["seconds"])


def test_both_take_all_steps_and_end_alike():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3_000, 16)).astype(np.float32)
    starts = X[:50]
    ours, theirs = lloyd(X, starts, max_iter=kmeans.STEPS), kmeans._peer(X, starts)
    assert ours.n_iter == theirs.n_iter_ == kmeans.STEPS
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-4)
