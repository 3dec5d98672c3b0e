"""The runner, driven by a toy claim put in the place of a real one."""

import json
from types import SimpleNamespace

import pytest

from spaceform import papers
from spaceform.claims import record as records
from spaceform.claims import runner
from spaceform.errors import InputError


@pytest.fixture
def toy(monkeypatch):
    """A claim with two arms whose units are counted; it borrows FaceNet's place in the catalogue."""
    paper = papers.load("facenet")
    comparison = papers.Comparison("a over b", "mechanism", "superior", "m", "up", "a", "b", 0.5, "baseline")
    claim = papers.ClaimSpec("statement", "none", (0, 1, 2), 10, (comparison,))
    fields = {name: getattr(paper, name) for name in paper.__dataclass_fields__} | {"claim": claim}
    monkeypatch.setattr(papers, "load", lambda slug: papers.Paper(**fields))
    monkeypatch.setattr(records, "load", lambda slug: papers.Paper(**fields))
    monkeypatch.setattr(records, "code_fingerprint", lambda slug: "code")
    calls = []

    def run(arm, seed, settings, context):
        calls.append((arm, seed))
        if settings.get("fail") == [arm, seed]:
            raise KeyboardInterrupt
        context.shared("work", lambda: calls.append(("shared", seed)))
        context.curve(arm, "loss", [0, 1], [seed, 0])
        return {"m": {"a": 2.0, "b": 1.0}[arm] + seed}

    settings = {"smoke": {}, "laptop": {}, "paper": {}}
    module = SimpleNamespace(SLUG="facenet", ARMS={"a": "ours", "b": "theirs"}, SETTINGS=settings, run=run)
    monkeypatch.setattr(runner, "find", lambda slug: module)
    return SimpleNamespace(module=module, calls=calls)


def test_every_arm_and_seed_is_recorded_and_judged(toy, tmp_path):
    made = runner.reproduce("facenet", results=tmp_path)
    assert made.verdict == made.mechanism == "reproduced"
    assert made.accuracy == ""
    assert made.figures() == {
        "a": {0: {"m": 2.0}, 1: {"m": 3.0}, 2: {"m": 4.0}},
        "b": {0: {"m": 1.0}, 1: {"m": 2.0}, 2: {"m": 3.0}},
    }
    assert made.curves["loss"]["a"]["2"] == {"x": [0.0, 1.0], "y": [2.0, 0.0]}
    assert records.read(tmp_path / "facenet.json").to_dict() == json.loads(json.dumps(made.to_dict()))
    assert not any((tmp_path / ".partial").iterdir())


def test_work_is_shared_by_the_arms_of_a_seed(toy, tmp_path):
    runner.reproduce("facenet", results=tmp_path)
    assert [call for call in toy.calls if call[0] == "shared"] == [("shared", 0), ("shared", 1), ("shared", 2)]


def test_a_killed_run_goes_on(toy, tmp_path):
    flag = {"fail": ["a", 1]}
    toy.module.SETTINGS["laptop"] = flag
    with pytest.raises(KeyboardInterrupt):
        runner.reproduce("facenet", results=tmp_path)
    assert not (tmp_path / "facenet.json").exists()
    before = len(toy.calls)
    original = toy.module.run

    def mended(arm, seed, settings, context):
        return original(arm, seed, {}, context)

    toy.module.run = mended
    made = runner.reproduce("facenet", results=tmp_path)
    again = [call for call in toy.calls[before:] if call[0] != "shared"]
    assert again == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert made.finished


def test_other_settings_never_reuse_units(toy, tmp_path):
    runner.reproduce("facenet", results=tmp_path, seeds=[0, 1])
    before = len(toy.calls)
    toy.module.SETTINGS["laptop"] = {"other": 1}
    runner.reproduce("facenet", results=tmp_path, seeds=[0, 1])
    assert len(toy.calls) > before


def test_without_a_folder_nothing_is_written(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner.reproduce("facenet", scale="smoke")
    assert list(tmp_path.iterdir()) == []


def test_a_result_is_stale_when_code_or_record_changed(toy, tmp_path, monkeypatch):
    made = runner.reproduce("facenet", results=tmp_path)
    monkeypatch.setattr(records, "claim_hash", lambda slug: made.claim_hash)
    assert not records.is_stale(made)
    monkeypatch.setattr(records, "code_fingerprint", lambda slug: "changed")
    assert records.is_stale(made)


@pytest.mark.parametrize("seeds", [[0], [1, 1], [-1, 2], []])
def test_seeds_are_checked(toy, seeds):
    with pytest.raises(InputError, match="seeds"):
        runner.reproduce("facenet", seeds=seeds)


def test_unknown_scale_and_missing_claim():
    with pytest.raises(InputError, match="slug"):
        runner.reproduce("no-such-paper")
    with pytest.raises(InputError, match="scale"):
        runner.reproduce(runner.available()[0], scale="huge")


def test_fingerprint_ignores_comments_and_docstrings():
    one = records._bare('"""Doc."""\nx = 1  # why\ndef f():\n    "doc"\n    return 2\n')
    other = records._bare("x = 1\ndef f():\n    return 2\n")
    changed = records._bare("x = 1\ndef f():\n    return 3\n")
    assert one == other
    assert one != changed


def test_a_damaged_result_is_refused_by_name(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(InputError, match=r"x\.json"):
        records.read(tmp_path / "x.json")
    with pytest.raises(InputError, match="no file"):
        records.read(tmp_path / "gone.json")
