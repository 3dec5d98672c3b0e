"""The generated parts of the README are fresh, and a stale or broken file is noticed."""

import subprocess
import sys

import pytest

import generate
from spaceform.cli.main import verbs

TEXT = "head\n<!-- begin: a -->\nold\n<!-- end: a -->\nmiddle\n<!-- begin: b -->\n<!-- end: b -->\ntail\n"


def test_the_readme_is_fresh():
    script = generate.pages.ROOT / "scripts" / "generate.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), "run scripts/generate.py"


def test_parts_are_replaced_and_the_rest_stays():
    filled = generate.fill(TEXT, {"a": "new | x \\1", "b": "two\nlines"})
    assert filled == (
        "head\n<!-- begin: a -->\nnew | x \\1\n<!-- end: a -->\nmiddle\n"
        "<!-- begin: b -->\ntwo\nlines\n<!-- end: b -->\ntail\n"
    )
    assert generate.fill(filled, {"a": "new | x \\1", "b": "two\nlines"}) == filled


@pytest.mark.parametrize("contents", [{"a": ""}, {"a": "", "b": "", "c": ""}])
def test_a_marker_without_content_and_the_reverse_are_refused(contents):
    with pytest.raises(ValueError, match="markers"):
        generate.fill(TEXT, contents)


def test_a_part_without_an_end_is_refused():
    with pytest.raises(ValueError, match="part b has no end"):
        generate.fill(TEXT.replace("<!-- end: b -->", ""), {"a": "", "b": ""})


def test_a_stale_file_fails_the_check_and_is_left_alone(tmp_path, monkeypatch, capsys):
    stale = tmp_path / "README.md"
    stale.write_text(TEXT)
    monkeypatch.setattr(generate, "README", stale)
    monkeypatch.setattr(generate, "parts", lambda: {"a": "new", "b": ""})
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 1
    assert "stale" in capsys.readouterr().err
    assert stale.read_text() == TEXT
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 0


def test_every_verb_is_in_the_table():
    table = generate.parts()["verbs"]
    assert all(f"`spaceform {name}`" in table for name in verbs())
