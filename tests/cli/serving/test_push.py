"""The push verb, and search of what it wrote."""

import json

import numpy as np
import pytest

from spaceform.cli.main import main
from spaceform.space import Space


@pytest.fixture
def folder(tmp_path):
    attributes = {"name": ["cat", "black cat", "dog"], "year": [2010, 2015, None]}
    return str(
        Space.create(np.diag([1.0, 0.9, 1.1]) + 0.1, attributes=attributes, ids=list("abc")).save(tmp_path / "s")
    )


def test_pushes_and_searches(folder, tmp_path, capsys):
    uri = str(tmp_path / "store")
    assert main(["push", folder, uri]) == 0
    assert capsys.readouterr().out == "s: 3 row(s) written, compared by euclidean\n"
    assert main(["push", folder, uri, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unchanged"] == 3
    assert main(["search", uri, "a", "--where", "year > 2000", "--columns", "year"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 of 1 row(s) that pass the filter, nearest to the row a"
    assert lines[3].split() == ["1", "-1.345", "b", "2015"]
    assert main(["search", uri, "a", "--name", "s", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["b", "c"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["push", "{folder}", "ftp://x"], "uri: got"),
        (["push", "{folder}", "{folder}"], "is no store"),
        (["push", "{folder}", "{tmp}/s2", "--metric", "l3"], "metric: got"),
        (["search", "{folder}", "a", "--name", "s"], "a store"),
        (["search", "http://127.0.0.1:9", "a"], "127.0.0.1:9"),
    ],
)
def test_mistakes_end_with_status_two(folder, tmp_path, capsys, arguments, message):
    assert main([one.format(folder=folder, tmp=tmp_path) for one in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
