"""`spaceform bench` on the command line; the figures themselves are nobody's promise."""

import json
import sys

import pytest

from spaceform.cli.evidence import bench
from spaceform.cli.main import main


@pytest.fixture
def toy(monkeypatch):
    from types import SimpleNamespace

    module = SimpleNamespace(run=lambda quick, progress: [{"what": "a", "ratio": 1.0}, {"what": "b", "peer": 2.0}])
    monkeypatch.setitem(sys.modules, "spaceform.workflows.benches.toy", module)
    monkeypatch.setattr(bench, "subjects", lambda: ["toy"])


def test_rows_as_table_json_and_file(toy, tmp_path, capsys):
    assert main(["bench", "toy"]) == 0
    assert "ratio" in capsys.readouterr().out
    assert main(["bench", "--json", "--out", str(tmp_path / "b.json")]) == 0
    assert json.loads(capsys.readouterr().out)["toy"][1] == {"what": "b", "peer": 2.0}
    assert set(json.loads((tmp_path / "b.json").read_text())) == {"rows", "versions", "machine"}


def test_unknown_subject_lists_the_known(capsys):
    assert main(["bench", "nothing"]) == 2
    assert "startup" in capsys.readouterr().err


def test_rows_on_other_subjects_stay_if_they_are_of_this_machine(toy, tmp_path, capsys):
    path = tmp_path / "b.json"
    assert main(["bench", "--out", str(path)]) == 0
    kept = json.loads(path.read_text())
    kept["rows"] = {"toy": [], "other": [{"what": "c"}]}
    path.write_text(json.dumps(kept))
    assert main(["bench", "toy", "--out", str(path)]) == 0
    assert json.loads(path.read_text())["rows"].keys() == {"toy", "other"}
    assert json.loads(path.read_text())["rows"]["toy"][0]["what"] == "a"
    path.write_text(json.dumps(kept | {"versions": {"python": "2.7"}}))
    assert main(["bench", "toy", "--out", str(path)]) == 2
    assert "measured anew" in capsys.readouterr().err
    path.write_text("{}")
    assert main(["bench", "toy", "--out", str(path)]) == 2
