"""The benchmark of relative coordinates: ours, the product and the peer on the same blocks; nothing is timed here."""

import numpy as np

from spaceform.workflows.benches import relative


def test_a_row_for_each_method_and_the_memory_of_ours(monkeypatch):
    for name, size in {"QUICK": 50, "ANCHORS": 7, "DIM": 12, "BLOCK": 20}.items():
        monkeypatch.setattr(relative, name, size)
    monkeypatch.setattr(relative, "_child", relative.measure_memory)
    rows = relative.run(quick=True)
    assert [row["method"] for row in rows] == list(relative.METHODS)
    assert rows[0]["MB"] >= rows[0]["MB before"] > 0
    assert all(row["times the limit"] > 0 for row in rows)
    X = relative._rows(9)
    ours, peer = (relative.METHODS[name](X, X[:3]) for name in (relative.OURS, relative.PEER))
    np.testing.assert_allclose(ours, peer, atol=1e-6)
