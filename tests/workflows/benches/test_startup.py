"""Start-up times are measured on real processes; how long they took is nobody's promise."""

from spaceform.workflows.benches import startup


def test_a_row_per_command(monkeypatch):
    commands = {"python alone": ("-c", "pass")}
    monkeypatch.setattr(startup, "COMMANDS", commands)
    (row,) = startup.run(quick=True)
    assert row["what"] == "python alone"
    assert row["seconds"] > 0
    assert row["of the limit of 0.3 s"] == row["seconds"] / startup.LIMIT
