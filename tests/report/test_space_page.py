"""The report of a Space, end to end on a small one with pictures, labels, unseen classes and a discovery."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from spaceform.cli.main import main
from spaceform.errors import InputError
from spaceform.report.space_page import write_space_report
from spaceform.space import Space
from spaceform.workflows.discover import discover


def picture(code):
    buffer = io.BytesIO()
    Image.new("RGB", (48, 48), (code * 25, 100, 255 - code * 25)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(10), 12)
    vectors = 3 * rng.normal(size=(10, 8))[codes] + rng.normal(size=(120, 8))
    space = Space.create(
        vectors,
        attributes={
            "kind": [f"kind <{code}>" for code in codes],
            "half": [code % 2 == 0 for code in codes],
            "seen": [bool(code < 6) for code in codes],
            "words": [("tag", f"word{code}") for code in codes],
            "year": [2000 + i % 7 if i % 5 else None for i in range(120)],
        },
        label="kind",
        pictures=[picture(code) for code in codes],
        info={
            "source": "folder/things",
            "learned": {
                "raw pixels": {"recall_at_1": 0.2, "map_at_r": 0.1},
                "untrained": {"recall_at_1": 0.1, "map_at_r": 0.1},
                "trained": {"recall_at_1": 0.6, "map_at_r": 0.5},
            },
        },
    )
    place = tmp_path_factory.mktemp("report") / "space"
    found = discover(space, method="ncd-kmeans", hide=0.3, k_max=5)
    found.space.save(place)
    return place


@pytest.fixture(scope="module")
def text(folder):
    return write_space_report(folder).path.read_text(encoding="utf-8")


def test_says_what_was_learned_against_the_floors(text):
    assert "60% of the time" in text
    assert "20% with raw pixels" in text
    assert "<title>Things</title>" in text


def test_has_every_part(text):
    for heading in (
        "The map", "What the encoder learned", "Classes that nobody labelled", "In a few sentences",
        "Do the classes separate?", "What the space is arranged by", "Most confused", "The shape of the cloud",
    ):  # fmt: skip
        assert f"<h2>{heading}</h2>" in text, heading


def test_map_colours_and_hover(text):
    data = json.loads(re.search(r'id="points">(.*?)</script>', text).group(1))
    assert len(data["maps"][0]["x"]) == 120
    assert {"kind", "half", "seen", "discovered_name", "year"} <= set(data["colours"])
    assert "kind" not in data["texts"], "the label is the headline of the hover"
    assert data["names"][0] == "kind <0>"
    assert all(cell is not None for cell in data["cells"])


def test_columns_made_by_methods_are_no_data(text):
    arranged = text[text.index("What the space is arranged by") : text.index("Most confused")]
    assert "half" in arranged
    assert "discovered" not in arranged


def test_plots_are_written_beside(folder, text):
    written = {path.name for path in (folder / "report").iterdir()}
    assert written == {f"{name}.{kind}" for name in ("map", "learned", "classes") for kind in ("png", "svg")} | {
        "index.html"
    }


def test_hostile_names_stay_texts(text):
    assert "kind &lt;0&gt;" in text
    assert "kind <0>" not in text


def test_a_bare_space_has_a_report_too(tmp_path):
    Space.create(np.random.default_rng(0).normal(size=(30, 3))).save(tmp_path / "s")
    text = write_space_report(tmp_path / "s").path.read_text(encoding="utf-8")
    assert "There is no label" in text
    assert "<canvas" in text


def test_the_command_ends_with_the_path(folder, capsys):
    assert main(["report", str(folder), "--colour", "half"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("For rows of classes that training never saw")
    assert said[1].startswith("report: ")
    assert main(["report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"].endswith("index.html")


def test_mistakes(folder, tmp_path, capsys):
    with pytest.raises(InputError, match="colour"):
        write_space_report(folder, colour="gone")
    assert main(["report", str(tmp_path / "gone")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
