"""The benchmark of the ball: ours and geoopt compute the same numbers; nothing is timed in earnest here."""

import pytest

from spaceform.workflows.benches import hyperbolic
from spaceform.workflows.benching.turns import ABSENT


def test_a_row_for_each_operation_and_peer_and_the_numbers_agree(monkeypatch):
    pytest.importorskip("geoopt")
    monkeypatch.setattr(hyperbolic, "QUICK", 40)
    monkeypatch.setattr(hyperbolic, "copying_rate", lambda: 1e10)
    rows = hyperbolic.run(quick=True)
    assert [row["operation"] for row in rows] == [name for name in hyperbolic.OPERATIONS for _ in range(3)]
    for row in rows:
        if row["method"] != "spaceform" and row["note"] != ABSENT and row["operation"] != "Frechet mean":
            assert float(row["note"].removeprefix("differs by ")) < 1e-3, row
        assert row["ms"] is None or row["ms"] > 0
