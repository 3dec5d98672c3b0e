"""Start-up times are measured on real processes; how long they took is nobody's promise."""

from spaceform.workflows import bench_startup


def test_a_row_per_command(monkeypatch):
    commands = {"python alone": ("-c", "pass")}
    monkeypatch.setattr(bench_startup, "COMMANDS", commands)
    (row,) = bench_startup.run(quick=True)
    assert row["what"] == "python alone"
    assert row["seconds"] > 0
    assert row["of the limit of 0.3 s"] == row["seconds"] / bench_startup.LIMIT
