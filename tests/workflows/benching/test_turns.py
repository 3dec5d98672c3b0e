"""Turns: who is timed, what ratios mean, and that absent peers are said to be absent."""

import pytest

from spaceform.workflows.benching import turns


def test_rows_are_ratios_to_ours_and_to_the_limit(monkeypatch):
    clock = {"ours": 2.0, "peer": 3.0}
    monkeypatch.setattr(turns, "seconds", lambda work: clock[work()])
    works = {turns.OURS: lambda: "ours", "peer": lambda: "peer", "other": None}
    rows = turns.compare(works, limit=0.5, facts={"rows": 7}, repeats=2, notes={"peer": "near", "other": "never"})
    assert [row["method"] for row in rows] == [turns.OURS, "peer", "other"]
    ours, peer, other = rows
    assert (ours["rows"], ours["ms"], ours["times ours"], ours["times the limit"]) == (7, 2_000, 1, 4)
    assert (peer["times ours"], peer["times the limit"], peer["note"]) == (1.5, 6, "near")
    assert (other["ms"], other["times ours"], other["note"]) == (None, None, turns.ABSENT)


def test_rates_are_those_of_a_machine():
    assert turns.multiplying_rate(50, 40, 30) > 1e6
    assert turns.seconds(None) < 1
    assert turns.seconds(lambda: sum(range(10**5))) == pytest.approx(0, abs=5)
