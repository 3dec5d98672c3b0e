"""`spaceform compare` on the command line: tables and words, one JSON document, a page, mistakes in one line."""

import json

import numpy as np
import pytest

from spaceform.cli.main import main
from spaceform.space import Space


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 4
    X = 2 * rng.normal(size=(4, 6))[y] + rng.normal(size=(120, 6))
    B = X @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    B[5] += 9
    names = [f"kind\x1b[31m {code}" for code in y]
    place = tmp_path_factory.mktemp("spaces")
    a = Space.create(X, attributes={"kind": names}, label="kind").save(place / "old")
    return str(a), str(Space.create(B).save(place / "new"))


def run(capsys, *arguments):
    status = main(["compare", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_tables_and_words(folders, capsys):
    status, out, err = run(capsys, *folders)
    assert (status, err) == (0, "")
    assert "A and B are the same up to an isometry, but for 1 of 120 rows" in out
    for part in (
        "A: old, B: new",
        "shuffled",
        "within classes",
        "Does the head of one read the other?",
        "nearest in B",
    ):
        assert part in out
    assert "\x1b" not in out


def test_json_is_one_document_and_the_page_is_named(folders, capsys, tmp_path):
    status, out, _ = run(capsys, *folders, "--json", "--report", tmp_path / "page.html", "--sample", "100")
    made = json.loads(out)
    assert status == 0
    assert (made["verdict"], made["compared"]) == ("isometric", 100)
    assert made["report"] == str(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 10_000


@pytest.mark.parametrize("options", [["--key", "gone"], ["--label", "gone"], ["--sample", "2"]])
def test_mistakes_are_one_line(folders, capsys, options):
    status, out, err = run(capsys, *folders, *options)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert options[1] in err or "sample" in err
