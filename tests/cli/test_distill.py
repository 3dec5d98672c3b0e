"""The distill verb: its table, its JSON, its report, its errors."""

import html
import json

import numpy as np
import pytest

from spaceform.cli.main import main
from spaceform.space import Space

FAST = ["-p", "steps=10", "-p", "embedding_dim=6", "-p", "looks=2"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("distill")
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    X = rng.normal(size=(100, 8)) + 2 * y[:, None]
    names = {"kind": np.array(["a <b>", "c"])[y].tolist()}
    teacher = Space.create(X, attributes=names, label="kind", info={"source": "things"}).save(place / "t")
    return str(teacher), str(Space.create(X[:, :3], attributes=names, label="kind").save(place / "i"))


def test_prints_the_table_a_sentence_and_the_report(folders, tmp_path, capsys):
    teacher, inputs = folders
    out = tmp_path / "s"
    assert main(["distill", teacher, str(out), "--inputs", inputs, *FAST]) == 0
    said = capsys.readouterr().out
    for part in ("On 20 held-out rows", "accuracy", "teacher", "labels alone", "lelp", "taught on 70 by lelp"):
        assert part in said
    lines = said.splitlines()
    assert lines[-2].startswith("On 20 held-out rows the student taught by lelp is right")
    assert lines[-1] == f"report: {(out / 'report.html').resolve()}"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert lines[-2] in html.unescape(page)
    assert "<b>" not in page
    assert main(["search", str(out), Space.open(out).ids[0], "-k", "2"]) == 0


def test_prints_json_without_a_report(folders, tmp_path, capsys):
    teacher, inputs = folders
    out = str(tmp_path / "s")
    arguments = [
        "--inputs",
        inputs,
        "--method",
        "kd",
        "--set",
        "temperature=2",
        "--net",
        "mlp",
        "--no-report",
        "--json",
    ]
    assert main(["distill", teacher, out, *FAST, *arguments]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["method"], answer["report"], answer["path"]) == ("kd", None, out)
    assert answer["options"]["temperature"] == "2.0"
    assert answer["curves"]["kd"]["looks"] == [5, 10]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "kdd"], "did you mean kd?"),
        (["-p", "warmth=1"], "temperature=4.0"),
        (["-p", "steps"], "expected name=value"),
        (["--held-out", "0.8"], "held_out"),
        ([], "--inputs"),
    ],
)
def test_mistakes_are_one_line(folders, tmp_path, capsys, arguments, message):
    given = [*arguments, *(["--inputs", folders[1]] if arguments else [])]
    assert main(["distill", folders[0], str(tmp_path / "s"), *given]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "s").exists()
