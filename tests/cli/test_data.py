"""The verb ``data``: the list, one set in full, and fetching."""

import json

import pytest

from spaceform import data
from spaceform.cli.main import main


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPACEFORM_CACHE", str(tmp_path))
    monkeypatch.setenv("SPACEFORM_OFFLINE", "1")


def run(capsys, *arguments):
    status = main(["data", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_list_names_every_set_model_and_benchmark(capsys, tmp_path):
    status, out, _ = run(capsys)
    assert status == 0
    for record in data.describe():
        assert any(line.split()[0] == record.name and record.licence in line for line in out.splitlines() if line)
    assert str(tmp_path) in out


def test_json_is_the_records(capsys):
    status, out, _ = run(capsys, "--json")
    assert status == 0
    listed = json.loads(out)
    assert [entry["name"] for entry in listed] == [record.name for record in data.describe()]
    assert {entry["kind"] for entry in listed} == {"set", "model", "benchmark"}
    assert json.loads(run(capsys, "emoji", "--json")[1]) == next(entry for entry in listed if entry["name"] == "emoji")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "emoji",
            ["7,155", "emojione-assets 4.5.0", "246.3 MB", "not yet: spaceform data emoji --fetch", 'load("emoji")'],
        ),
        ("digits", ["nothing to fetch", "CC-BY-4.0"]),
        ("minilm", ['models.folder("minilm")', "Apache-2.0"]),
        ("lfw", ["in a folder of yours", 'root="folder"']),
    ],
)
def test_a_name_shows_its_details(capsys, name, parts):
    status, out, _ = run(capsys, name)
    assert status == 0
    for part in parts:
        assert part in out


@pytest.mark.parametrize("arguments", [["emojis"], ["lfw", "--fetch"]])
def test_what_can_t_be_fetched_or_shown_is_a_mistake(capsys, arguments):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: name: got")


def test_fetching_what_needs_nothing_succeeds(capsys):
    assert run(capsys, "digits", "--fetch")[0] == 0


@pytest.mark.parametrize("arguments", [["letter", "--fetch"], ["minilm", "--fetch"], ["--fetch"]])
def test_out_of_reach_the_one_line_says_what_to_put_where(capsys, tmp_path, arguments):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith("error: ")  # lines of progress may stand before it
    assert err.count("error: ") == 1
    assert str(tmp_path / "packages") in err
    assert "SHA-256" in err
