"""`spaceform discover` on the command line."""

import json

import numpy as np
import pytest

from spaceform.cli.main import main
from spaceform.space import Space


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(6), 15)
    kinds = [f"kind {code}" if code < 4 else None for code in codes]
    Space.create(
        8 * rng.normal(size=(6, 5))[codes] + rng.normal(size=(90, 5)), attributes={"kind": kinds}, label="kind"
    ).save(tmp_path / "s")
    return tmp_path / "s"


def test_table_and_columns(folder, capsys):
    assert main(["discover", str(folder), "--method", "ncd-kmeans", "--k-max", "5"]) == 0
    out = capsys.readouterr().out
    assert "2 novel classes in 30 unlabelled rows" in out
    assert "stability" in out
    assert "discovered_name" in Space.open(folder).columns


def test_json_and_no_write(folder, capsys):
    assert main(["discover", str(folder), "--method", "ncd-kmeans", "--n-novel", "2", "--no-write", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_novel"] == 2
    assert "discovered" not in Space.open(folder).columns


def test_mistakes_change_nothing(folder, capsys):
    before = (folder / "rows.parquet").read_bytes()
    for arguments in (["--label", "gone"], ["--hide", "3"], ["--n-novel", "99"]):
        assert main(["discover", str(folder), *arguments]) == 2
        assert capsys.readouterr().err.startswith("error: ")
    assert (folder / "rows.parquet").read_bytes() == before


def test_classes_by_name_and_rows_by_filter(folder, capsys):
    arguments = ["--hide", "kind 1, kind 3", "--known", "id != '0'", "--method", "ncd-kmeans", "--n-novel", "4"]
    assert main(["discover", str(folder), *arguments, "--no-write", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["hidden"] == ["kind 0", "kind 1", "kind 3"]
    assert found["known_classes"] == 2
