"""The train verb: its tables, its JSON, its errors."""

import html
import json

import numpy as np
import pytest
from PIL import Image

from spaceform.cli.main import main
from spaceform.space import Space


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    names = np.repeat(["cat", "dog", "fig", "rye", "oat"], 12).tolist()
    kinds = ["animal" if name in {"cat", "dog"} else "food" for name in names]
    X = np.repeat(rng.normal(size=(5, 3)), 12, axis=0) + 0.5 * rng.normal(size=(60, 3))
    return str(Space.create(X, attributes={"name": names, "kind": kinds}, label="name").save(tmp_path / "s"))


def test_prints_figures_and_what_was_written(folder, capsys):
    (edges := __import__("pathlib").Path(folder).parent / "edges.csv").write_text(
        "cat,animal\ndog,animal\nfig,food\nrye,food\noat,food\nanimal,thing\nfood,thing\ngem,thing\n"
    )
    assert main(["train", "loki", folder, "--label-metric", str(edges), "--next", "3"]) == 0
    out = capsys.readouterr().out
    assert "On held-out rows" in out
    assert "squared label distance, hidden classes" in out
    assert "labels then reachable" in out
    assert "gem" in out
    assert "columns loki_class, loki_observed, loki_confidence" in out
    assert "loki_class" in Space.open(folder).columns


def test_prints_json_and_writes_elsewhere(folder, tmp_path, capsys):
    out = str(tmp_path / "t")
    options = ["--hierarchy", "kind", "--set", "temperature=2", "--set", "candidates=observed", "-o", out, "--json"]
    assert main(["train", "loki", folder, *options]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["path"], answer["rows"], answer["method"]) == (out, 60, "loki")
    assert Space.open(out).column("loki_observed").all()
    assert "loki_class" not in Space.open(folder).columns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["loki", "--set", "temperature"], "expected name=value"),
        (["loki", "--set", "warmth=1"], "temperature=1.0"),
        (["loki"], "--hierarchy"),
        (["lokki"], "loki"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, arguments, message):
    assert main(["train", arguments[0], folder, *arguments[1:]]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


@pytest.fixture
def images(tmp_path):
    """Ten classes of four pictures in their folders."""
    rng = np.random.default_rng(0)
    for code in range(10):
        base = rng.integers(0, 200, (16, 16, 3))
        place = tmp_path / "images" / f"class {code}"
        place.mkdir(parents=True)
        for i in range(4):
            picture = (base + rng.integers(0, 55, base.shape)).astype(np.uint8)
            Image.fromarray(picture).save(place / f"{i}.png")
    return tmp_path / "images"


FAST = ["--size", "16", "-p", "steps=2", "-p", "embedding_dim=4", "--net", "conv:0.25", "-p", "classes_per_batch=4"]


def test_a_folder_of_pictures_ends_with_figures_a_sentence_and_a_report(images, tmp_path, capsys):
    out = tmp_path / "t"
    assert main(["train", "proxy-anchor", str(images), "-o", str(out), *FAST, "-p", "margin=0.2"]) == 0
    said = capsys.readouterr().out
    for part in ("On held-out rows", "recall@1", "NMI", "raw pixels", "linear softmax", "trained on 24"):
        assert part in said
    lines = said.splitlines()
    assert lines[-2].startswith("On 2 classes that training never saw (8 rows), the nearest neighbour is of the right")
    assert lines[-1] == f"report: {(out / 'report.html').resolve()}"
    assert lines[-2] in html.unescape((out / "report.html").read_text(encoding="utf-8"))
    assert main(["search", str(out), str(Space.open(out).ids[0]), "-k", "2"]) == 0


def test_json_holds_curves_gains_and_the_report(images, tmp_path, capsys):
    out = tmp_path / "t"
    arguments = ["train", "triplet", str(images), "-o", str(out), *FAST, "-p", "mining=hard", "-p", "baseline=false"]
    assert main([*arguments, "--no-report", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["report"] is None
    assert not (out / "report.html").exists()
    assert answer["learned"]["trained"]["steps"] == [1, 2]
    assert set(answer["learned"]["gains"]) == {"untrained"}


def test_an_interrupt_says_that_the_work_is_kept(images, tmp_path, capsys, monkeypatch):
    def interrupted(*given, **named):
        (tmp_path / "t" / "checkpoint").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr("spaceform.workflows.train.train", interrupted)
    assert main(["train", "triplet", str(images), "-o", str(tmp_path / "t")]) == 130
    assert capsys.readouterr().err == "the same command goes on from the last checkpoint\ninterrupted\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["proxy-ankor"], "did you mean proxy-anchor?"),
        (["proxy-anchor", "-p", "margn=1"], "margin=0.1"),
        (["proxy-anchor", "--net", "resnet"], "conv"),
        (["proxy-anchor", "--net", "no_such_module:make"], "No module named"),
        (["proxy-anchor", "--net", "conv", "-p", "net=mlp"], "one of the two"),
        (["proxy-anchor", "--devices", "0"], "devices"),
        (["proxy-anchor", "--devices", "4096"], "this machine has"),
        (["hydra", "--devices", "2"], "devices"),
        (["proxy-anchor", "--patience", "0"], "patience"),
        (["proxy-anchor", "--held-out", "2"], "held_out"),
    ],
)
def test_mistakes_in_training_an_encoder_are_one_line(images, tmp_path, capsys, arguments, message):
    assert main(["train", arguments[0], str(images), "-o", str(tmp_path / "t"), "--size", "16", *arguments[1:]]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "t").exists()
