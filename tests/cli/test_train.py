"""The train verb: its tables, its JSON, its errors."""

import json

import numpy as np
import pytest

from spaceform.cli.main import main
from spaceform.space import Space


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    names = np.repeat(["cat", "dog", "fig", "rye", "oat"], 12).tolist()
    kinds = ["animal" if name in {"cat", "dog"} else "food" for name in names]
    X = np.repeat(rng.normal(size=(5, 3)), 12, axis=0) + 0.5 * rng.normal(size=(60, 3))
    return str(Space.create(X, attributes={"name": names, "kind": kinds}, label="name").save(tmp_path / "s"))


def test_prints_figures_and_what_was_written(folder, capsys):
    (edges := __import__("pathlib").Path(folder).parent / "edges.csv").write_text(
        "cat,animal\ndog,animal\nfig,food\nrye,food\noat,food\nanimal,thing\nfood,thing\ngem,thing\n"
    )
    assert main(["train", "loki", folder, "--label-metric", str(edges), "--next", "3"]) == 0
    out = capsys.readouterr().out
    assert "On held-out rows" in out
    assert "squared label distance, hidden classes" in out
    assert "labels then reachable" in out
    assert "gem" in out
    assert "columns loki_class, loki_observed, loki_confidence" in out
    assert "loki_class" in Space.open(folder).columns


def test_prints_json_and_writes_elsewhere(folder, tmp_path, capsys):
    out = str(tmp_path / "t")
    options = ["--hierarchy", "kind", "--set", "temperature=2", "--set", "candidates=observed", "-o", out, "--json"]
    assert main(["train", "loki", folder, *options]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["path"], answer["rows"], answer["method"]) == (out, 60, "loki")
    assert Space.open(out).column("loki_observed").all()
    assert "loki_class" not in Space.open(folder).columns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["loki", "--set", "temperature"], "expected name=value"),
        (["loki", "--set", "warmth=1"], "temperature=1.0"),
        (["loki"], "--hierarchy"),
        (["lokki"], "loki"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, arguments, message):
    assert main(["train", arguments[0], folder, *arguments[1:]]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
