"""The verb ``embed``: a table into a folder that is a Space, as a line and as JSON."""

import json

import typer
from typer.testing import CliRunner

from spaceform.cli import embed as verb
from spaceform.space import Space

APP = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
APP.command()(verb.embed)
ITEMS = "workflows.embedding.encoders_for_tests:items"


def run(*arguments):
    result = CliRunner().invoke(APP, list(map(str, arguments)))
    assert result.exception is None, result.exception
    return result.stdout


def test_a_table_becomes_a_space_and_the_second_call_does_nothing(tmp_path):
    (tmp_path / "t.csv").write_text("text,year\nsome words,1990\n,1991\nmore,1992\n")
    out = run(tmp_path / "t.csv", tmp_path / "out", "--encoder", ITEMS, "--rows-per-unit", 1)
    assert "2 rows x 2 float32, 3 of 3 units in this run (local, 1 at a time)" in out
    assert "1 rows could not be used" in out
    assert Space.open(tmp_path / "out").column("year").tolist() == [1990, 1992]
    again = json.loads(run(tmp_path / "t.csv", tmp_path / "out", "--encoder", ITEMS, "--rows-per-unit", 1, "--json"))
    assert (again["done"], again["units"], again["quarantined"]) == (0, 3, 1)
