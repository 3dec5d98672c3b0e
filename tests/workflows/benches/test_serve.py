"""The load test runs against a real server; its figures are nobody's promise, that there are no errors is."""

from spaceform.workflows.benches import serve


def test_a_server_under_a_little_load(monkeypatch):
    for name, value in {"QUICK_ROWS": 300, "QUICK_CLIENTS": 3, "QUICK_SECONDS": 1.0}.items():
        monkeypatch.setattr(serve, name, value)
    *kinds, whole = serve.run(quick=True)
    assert {row["question"] for row in kinds} == {"near a row", "filtered", "words", "facets", "one row"}
    assert (whole["question"], whole["errors"]) == ("all", 0)
    assert sum(row["answers"] for row in kinds) == whole["answers"] > 0
    assert 0 < whole["p50 ms"] <= whole["p99 ms"]
    assert whole["MB before"] > 0
