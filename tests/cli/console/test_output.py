"""Tables, JSON and messages, on a terminal and in a pipe."""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from spaceform.cli.console import output


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@dataclass
class Found:
    name: str
    score: float


def test_plain_knows_what_results_are_made_of():
    value = {
        "scalar": np.float32(0.5),
        "whole": np.int64(3),
        "flag": np.bool_(True),
        "nan": float("nan"),
        "infinite": np.inf,
        "array": np.array([[1.0, np.nan]]),
        "tensor": torch.tensor([1, 2]),
        "arrow": pa.array([1, None]),
        "path": Path("a/b"),
        "record": Found("x", 1.0),
        "set": {3, 1},
        "tuple": (1, None),
        7: "key",
    }
    assert output.plain(value) == {
        "scalar": 0.5,
        "whole": 3,
        "flag": True,
        "nan": None,
        "infinite": None,
        "array": [[1.0, None]],
        "tensor": [1, 2],
        "arrow": [1, None],
        "path": str(Path("a/b")),
        "record": {"name": "x", "score": 1.0},
        "set": [1, 3],
        "tuple": [1, None],
        "7": "key",
    }


def test_plain_refuses_what_has_no_plain_form():
    with pytest.raises(TypeError, match="object has no plain form"):
        output.plain(object())
    with pytest.raises(TypeError, match="bytes"):
        output.plain(b"raw")


def test_json_is_one_document_with_nothing_beside_it(capsys):
    output.print_json({"name": "Ünïcode", "score": np.nan})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"name": "Ünïcode", "score": None}
    assert "Ünïcode" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (np.float64("nan"), "-"),
        (True, "yes"),
        (np.bool_(False), "no"),
        (12345, "12,345"),
        (np.int64(12345), "12,345"),
        (0.123456, "0.1235"),
        (np.float32(0.5), "0.5"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_cells(value, shown):
    assert output.format_cell(value) == shown


def test_a_table_in_a_pipe_is_one_plain_line_per_row(capsys):
    long = "word " * 80
    output.print_table("Title [x]", ("name", "count"), [(long, 1), ("b", 22)])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0].strip() == "Title [x]"
    assert long.strip() in lines[3]
    assert lines[-1].split() == ["b", "22"]
    assert "\x1b" not in "".join(lines)


def test_a_table_without_rows_prints_its_head(capsys):
    output.print_table("", ("name", "count"), [])
    assert "name" in capsys.readouterr().out


def test_a_table_on_a_terminal_wraps_and_has_colour(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stdout", stream := Terminal())
    output.print_table("Title", ("name",), [("word " * 20,)])
    assert "\x1b[1m" in stream.getvalue()
    assert len(stream.getvalue().splitlines()) > 3


@pytest.mark.parametrize("no_color", ["", "1"])
def test_errors_are_red_on_a_terminal_unless_told_not_to(monkeypatch, no_color):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    output.print_error("the file is gone")
    assert stream.getvalue().endswith("the file is gone\n")
    assert ("\x1b" in stream.getvalue()) is (no_color == "")


def test_a_dumb_terminal_is_none(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert not output.is_terminal(Terminal())
