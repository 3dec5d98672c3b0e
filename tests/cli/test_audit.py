"""The verb prints tables, conclusions and warnings, or one JSON document; mistakes are one line."""

import json

import numpy as np
import pytest

from spaceform.cli.main import main
from spaceform.space import Space


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(200) % 10
    X = 2 * rng.normal(size=(10, 8))[y] + 0.5 * rng.normal(size=(200, 8))
    X[100] = X[0]
    columns = {"concept": [f"class {k}" for k in y], "vendor": [f"v{i % 3}" for i in range(200)]}
    columns["seen"] = (y < 6).tolist()
    return Space.create(X, attributes=columns, label="concept").save(tmp_path / "space")


def run(capsys, *arguments):
    status = main([str(argument) for argument in ("audit", *arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_tables_and_sentences(folder, capsys):
    status, out, err = run(capsys, folder)
    assert (status, err) == (0, "")
    for part in ("Do nearest neighbours agree?", "unseen classes", "MAP@R", "Most confused classes", "Near-duplicates"):
        assert part in out
    assert "with labels: the nearest neighbour has the same concept for" in out
    assert "- copies: 1 row the same as an earlier one" in out


def test_names_from_data_can_not_steer_the_terminal(tmp_path, capsys):
    X = np.random.default_rng(0).normal(size=(30, 3))
    names = ["\x1b[31mred", "[bold]x[/bold]"] * 15
    place = Space.create(X, attributes={"c": names}, label="c").save(tmp_path / "odd")
    status, out, _ = run(capsys, place)
    assert status == 0
    assert "\x1b" not in out
    assert "[bold]x[/bold]" in out


def test_json_is_one_document(folder, capsys):
    status, out, _ = run(capsys, folder, "--json", "--label", "vendor", "--sample", "50", "--seed", "1")
    made = json.loads(out)
    assert status == 0
    assert made["label"] == "vendor"
    assert made["scope"]["queries"] == 50


def test_a_space_without_labels_says_why_parts_are_missing(tmp_path, capsys):
    place = Space.create(np.random.default_rng(0).normal(size=(100, 4))).save(tmp_path / "bare")
    status, out, _ = run(capsys, place)
    assert status == 0
    assert "no separability: no label: name a column" in out
    assert "Nothing stands out." in out


@pytest.mark.parametrize(
    ("options", "part"),
    [(["--label", "colour"], "colour"), (["--sample", "2"], "sample")],
)
def test_mistakes_are_one_line(folder, capsys, options, part):
    status, out, err = run(capsys, folder, *options)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert part in err


def test_a_folder_without_a_space_is_refused(tmp_path, capsys):
    status, _, err = run(capsys, tmp_path / "nothing")
    assert status == 2
    assert "nothing" in err


def test_an_earlier_space_is_compared(folder, capsys):
    status, out, _ = run(capsys, folder, "--before", folder)
    assert status == 0
    assert "since the earlier space: the kernel moved by 0.000" in out
    assert "- frozen features" in out
