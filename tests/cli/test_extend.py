"""The extend verb: its table, its JSON, its errors."""

import json

import numpy as np
import pytest

from spaceform.claims.continual.streams import blobs
from spaceform.cli.main import main
from spaceform.space import Space

FAST = ["-p", "epochs=[2, 1]", "-p", "embedding_dim=8", "-p", "na_weight=0.1"]


@pytest.fixture
def folders(tmp_path):
    X, y = blobs(0, classes=4, rows=10)
    made = []
    for name, own in (("old", y < 2), ("new", y == 2), ("more", y == 3)):
        rows = np.flatnonzero(own)
        labels = {"kind": [f"k{label}" for label in y[rows]]}
        made.append(str(Space.create(X[rows], attributes=labels, label="kind").save(tmp_path / name)))
    return made


def test_prints_what_was_added_and_what_was_forgotten(folders, capsys):
    old, new, more = folders
    assert main(["extend", old, new, *FAST]) == 0
    out = capsys.readouterr().out
    assert "task 1, new" in out
    assert "1 new classes (k2), 10 rows appended" in out
    assert main(["extend", old, more, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == 2
    assert len(Space.open(old)) == 40


def test_errors_are_one_line(folders, capsys):
    old, new, _ = folders
    assert main(["extend", old, new, "-p", "epochs"]) == 2
    assert "name=value" in capsys.readouterr().err
    assert main(["extend", old, old]) == 2
    assert "a class of the Space" in capsys.readouterr().err
