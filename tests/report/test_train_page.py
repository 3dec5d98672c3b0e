"""The report of a training: its sentence, figures, marks and maps."""

import json
import re

import numpy as np
import pytest

from spaceform.data.pictures import encode_png
from spaceform.errors import InputError
from spaceform.report.train_page import write_training_report
from spaceform.space import Space
from spaceform.workflows.train import train

FAST = {"net": "mlp", "embedding_dim": 8, "classes_per_batch": 8, "samples_per_class": 3, "steps": 20, "looks": 4}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(30), 6)
    X = np.hstack([2 * rng.normal(size=(30, 4))[y], rng.normal(size=(180, 8))])
    pictures = encode_png(np.repeat(rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8), 6, axis=0))
    names = [f"kind <{code}>" for code in y]
    space = Space.create(X, attributes={"name": names}, label="name", pictures=pictures)
    out = tmp_path_factory.mktemp("report") / "t"
    result = train("proxy-anchor", space, out=out, options=FAST)
    return result, write_training_report(result, out).read_text(encoding="utf-8")


def test_it_says_first_by_how_much_it_is_better(trained):
    result, text = trained
    lead = re.search(r'<p class="lead">(.*?)</p>', text)[1]
    assert lead == result.learned.sentence
    for title in ("By how much it is better", "Nearest neighbours before and after", "How training went"):
        assert f"<h2>{title}</h2>" in text
    for word in ("before training", "linear softmax", "recall@8", "NMI", "beyond chance"):
        assert word in text


def test_it_is_whole_and_escaped(trained):
    text = trained[1]
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "http" not in re.sub(
        r'xmlns(:\w+)?="[^"]+"|<metadata>.*?</metadata>|<!DOCTYPE[^>]*>', "", text, flags=re.DOTALL
    )
    assert "kind <" not in text
    assert "data:image/webp;base64," in text


def test_ticks_and_crosses_are_those_of_the_labels(trained):
    text = trained[1]
    gallery = text[text.index('<div class="gallery">') :]
    assert gallery.count("nearest before") == gallery.count("nearest after") == 6
    ticks, crosses = gallery.count('aria-label="right"'), gallery.count('aria-label="wrong"')
    assert ticks + crosses == 60
    told = [int(n) for pair in re.findall(r"(\d) of 5 right before, (\d) after", gallery) for n in pair]
    assert sum(told) == ticks
    for line in gallery.split('<div class="line">')[1:]:
        title = re.search(r"<strong>(.*?)</strong>", line)[1]
        for mark in re.findall(r'<span class="mark (\w+)">.*?title="(.*?)"', line):
            assert (mark[0] == "right") == (mark[1] == title)


def test_the_same_rows_stand_on_both_maps(trained):
    result, text = trained
    data = json.loads(re.search(r'id="points">(.*?)</script>', text, flags=re.DOTALL)[1])
    assert [one["title"] for one in data["maps"]] == ["before", "after"]
    assert {len(one["x"]) for one in data["maps"]} == {len(result.learned.rows)} == {36}
    assert len(set(data["names"])) == 6
    assert data["maps"][0]["x"] != data["maps"][1]["x"]


def test_nothing_held_back_is_said(trained, tmp_path):
    space = trained[0].space
    result = train("sup-con", space, out=tmp_path / "t", options=FAST | {"steps": 2}, held_out=0.0)
    text = write_training_report(result, tmp_path / "t").read_text(encoding="utf-8")
    assert "Nothing was held back" in text
    assert "By how much" not in text


def test_other_results_are_refused(tmp_path):
    names = np.repeat(["a", "b", "c"], 8).tolist()
    kinds = ["x" if name == "a" else "y" for name in names]
    X = np.random.default_rng(0).normal(size=(24, 3))
    space = Space.create(X, attributes={"name": names, "kind": kinds}, label="name")
    with pytest.raises(InputError, match="training an encoder"):
        write_training_report(train("loki", space, hierarchy=["kind"], held_out=0.0), tmp_path)
