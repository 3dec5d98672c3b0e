"""`spaceform reproduce` on the command line, with the runner replaced by one that answers at once."""

import dataclasses
import json
from pathlib import Path

import pytest

from spaceform.claims import record as records
from spaceform.claims import runner
from spaceform.cli.main import main
from spaceform.errors import InputError

KEPT = Path(__file__).parents[3] / "results" / "class-separability.json"


@pytest.fixture
def answers(monkeypatch):
    made = records.read(KEPT)
    calls = []

    def reproduce(slug, **settings):
        calls.append((slug, settings))
        if slug == "loki":
            raise InputError("root", got="None", expected="a folder")
        record = dataclasses.replace(made, slug=slug, scale=settings["scale"])
        records.write(record, settings["results"])
        return record

    monkeypatch.setattr(runner, "reproduce", reproduce)
    monkeypatch.setattr(runner, "available", lambda: ["facenet", "loki", "tabular-ncd"])
    monkeypatch.setattr(records, "is_stale", lambda record: False)
    return calls


def test_one_claim_prints_its_comparisons(answers, tmp_path, capsys):
    assert main(["reproduce", "facenet", "--results", str(tmp_path), "--seeds", "3", "--scale", "smoke"]) == 0
    out = capsys.readouterr().out
    assert "facenet (smoke" in out
    assert "95% interval" in out
    assert answers[0][1]["seeds"] == [0, 1, 2]
    assert (tmp_path / "facenet.smoke.svg").exists()


def test_all_keeps_finished_ones_and_tells_of_failures(answers, tmp_path, capsys):
    arguments = ["reproduce", "--all", "--results", str(tmp_path), "--no-plot", "--json"]
    assert main(arguments) == 1
    heard = capsys.readouterr()
    assert [one["slug"] for one in json.loads(heard.out)] == ["facenet", "tabular-ncd"]
    assert "loki: root" in heard.err
    answers.clear()
    main(arguments)
    assert [slug for slug, _ in answers] == ["loki"]


@pytest.mark.parametrize("arguments", [[], ["facenet", "--all"], ["no-such-paper"]])
def test_mistakes(arguments, tmp_path, capsys):
    assert main(["reproduce", *arguments, "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: slug")
