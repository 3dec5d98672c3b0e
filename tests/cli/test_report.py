"""`spaceform report` on the command line."""

import json

import numpy as np
import pytest

from spaceform.cli.main import main
from spaceform.space import Space


@pytest.fixture
def folder(tmp_path):
    Space.create(np.random.default_rng(0).normal(size=(30, 3)), attributes={"kind": ["a", "b"] * 15}).save(
        tmp_path / "s"
    )
    return tmp_path / "s"


def test_ends_with_the_path_of_a_whole_page(folder, capsys):
    assert main(["report", str(folder)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"report: {(folder / 'report' / 'index.html').resolve()}"
    assert (folder / "report" / "index.html").read_text().rstrip().endswith("</html>")


def test_json(folder, capsys):
    assert main(["report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"].endswith("index.html")


@pytest.mark.parametrize("arguments", [["gone"], ["s", "--colour", "gone"], ["s", "--label", "gone"]])
def test_a_mistake_leaves_no_page(folder, capsys, monkeypatch, arguments):
    monkeypatch.chdir(folder.parent)
    assert main(["report", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not (folder / "report" / "index.html").exists()
