"""What a source is, and how names and failures are shown."""

import numpy as np
import pytest

from spaceform.data.layouts.source import Source, check_on_error, existing, refuse, shown
from spaceform.errors import InputError


@pytest.mark.parametrize(
    ("kind", "rows"), [("vectors", np.eye(3)), ("images", np.zeros((3, 2, 2, 3))), ("texts", ["a"] * 3)]
)
def test_the_length_is_that_of_its_kind(kind, rows):
    assert len(Source(kind=kind, path="x", **{kind: rows})) == 3
    assert len(Source(kind=kind, path="x")) == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.txt", "plain.txt"),
        ("\N{GRINNING FACE}", "\N{GRINNING FACE}"),
        ("a\nb", "a\\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\udcff", "\\xff"),
        ("\u202egnp", "\\u202egnp"),
    ],
)
def test_names_are_shown_so_that_a_terminal_survives_them(name, text):
    assert shown(name) == text


@pytest.mark.parametrize("path", ["missing", "nul\0inside", "x" * 5000])
def test_what_is_not_there_is_refused(tmp_path, path):
    with pytest.raises(InputError, match="path: got"):
        existing(tmp_path / path)


def test_many_failures_are_listed_in_short(tmp_path):
    error = refuse(tmp_path, [(f"f{index}", "why") for index in range(7)], total=9, what="rows")
    assert "7 of 9 rows" in str(error)
    assert "f4 (why); and 2 more" in str(error)
    assert "f5" not in str(error)


def test_on_error_is_one_of_two():
    assert check_on_error("skip") == "skip"
    with pytest.raises(InputError, match="'raise', 'skip'"):
        check_on_error("warn")
