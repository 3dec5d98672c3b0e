"""`spaceform build` on the command line."""

import json

import numpy as np
import pytest

from spaceform.cli.main import main


@pytest.fixture
def vectors(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(12, 3)))
    return tmp_path / "x.npy"


def test_says_what_was_built(vectors, tmp_path, capsys):
    assert main(["build", str(vectors), "-o", str(tmp_path / "s")]) == 0
    assert "12 rows x 3" in capsys.readouterr().out
    assert (tmp_path / "s" / "space.json").exists()


def test_json(vectors, tmp_path, capsys):
    assert main(["build", str(vectors), "-o", str(tmp_path / "s"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 12


@pytest.mark.parametrize(
    "arguments",
    [["gone.npy"], ["x.npy", "--encoder", "conv"], ["x.npy", "--label", "gone"], ["x.npy", "--unseen", "7"]],
)
def test_a_mistake_is_one_line_and_status_2(vectors, tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert main(["build", *arguments, "-o", "s"]) == 2
    heard = capsys.readouterr()
    assert heard.out == ""
    assert heard.err.startswith("error: ")
    assert "Traceback" not in heard.err
    assert not (tmp_path / "s").exists()
