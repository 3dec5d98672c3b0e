"""The search verb: its table, its JSON, its errors."""

import json

import numpy as np
import pytest

from spaceform.cli.main import main
from spaceform.cli.search import LONGEST_CELL, cell
from spaceform.space import Space


@pytest.fixture
def folder(tmp_path):
    attributes = {
        "name": ["cat", "black cat", "[red]dog[/red]", "\x1b[31mapple\n"],
        "keywords": [["pet"], ["pet", "night"], None, ["fruit"]],
        "year": [2010, 2015, None, 2016],
    }
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [-1, 0]])
    return str(Space.create(vectors, attributes=attributes, ids=list("abcd")).save(tmp_path / "s"))


def test_prints_a_table(folder, capsys):
    assert main(["search", folder, "a", "-k", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 of 3 row(s), nearest to the row a"
    assert lines[1].split() == ["rank", "euclidean", "id", "name", "keywords", "year"]
    assert lines[3].split() == ["1", "-0.1", "b", "black", "cat", "pet,", "night", "2015"]
    assert "[red]dog[/red]" in lines[4]
    assert "·[31mapple·" in lines[5]
    assert "\x1b" not in "".join(lines)


def test_prints_json(folder, capsys):
    assert main(["search", folder, "cat", "--where", "year >= 2015", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["way"], answer["anchors"], answer["where"], answer["passing"]) == ("words", ["a"], "year >= 2015", 2)
    assert [row["id"] for row in answer["rows"]] == ["b", "d"]
    assert answer["rows"][1]["attributes"]["name"] == "\x1b[31mapple\n"


def test_shows_chosen_columns(folder, capsys):
    assert main(["search", folder, "a", "--columns", "year, name"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["rank", "euclidean", "id", "year", "name"]
    assert main(["search", folder, "a", "--columns", "year", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["attributes"] == {"year": 2015}


def test_says_that_nothing_passes(folder, capsys):
    assert main(["search", folder, "cat", "--where", "year > 3000"]) == 0
    assert capsys.readouterr().out.startswith("0 of 0 row(s) that pass the filter")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["zebra"], "no row matches"),
        (["a", "--where", "yaer = 1"], "    ^^^^"),
        (["a", "--columns", "yaer"], "did you mean 'year'"),
        (["a", "-k", "0"], "k: got 0"),
    ],
)
def test_mistakes_end_with_status_two(folder, capsys, arguments, message):
    assert main(["search", folder, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_a_folder_that_is_no_space_ends_with_status_two(tmp_path, capsys):
    assert main(["search", str(tmp_path), "a"]) == 2
    assert "space.json: is missing" in capsys.readouterr().err


def test_cells_are_short_and_printable():
    assert cell("x" * 1000) == "x" * (LONGEST_CELL - 1) + "…"
    assert cell(["a", "b\t"]) == "a, b·"
    assert (cell(2015), cell(None), cell(2.5), cell(value=True)) == ("2015", "-", 2.5, "yes")
