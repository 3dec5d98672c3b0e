"""The page of a comparison: words first, both maps of the same items, rows that moved with their neighbours."""

import json
import re

import numpy as np
import pytest

from spaceform.data.pictures import encode_png
from spaceform.report.compare_page import write_compare_report
from spaceform.space import Space
from spaceform.workflows.compare import compare


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = 3 * rng.normal(size=(3, 6))[y] + rng.normal(size=(90, 6))
    B = X @ np.linalg.qr(rng.normal(size=(8, 8)))[0][:6]
    B[[4, 7]] = B[[7, 4]] + 2
    pictures = encode_png(rng.integers(0, 256, (90, 8, 8, 3), dtype=np.uint8))
    names = [f"kind <{code}>" for code in y]
    ids = [f"row & {i}" for i in range(90)]
    b = Space.create(B, ids=ids, pictures=pictures, attributes={"kind": names, "half": ["p", "q"] * 45}, label="kind")
    result = compare(Space.create(X, ids=ids), b)
    path = write_compare_report(result, tmp_path_factory.mktemp("page"))
    return result, path, path.read_text("utf-8")


def test_the_verdict_leads_and_every_part_is_there(made):
    result, path, text = made
    assert path.name == "compare.html"
    lead = re.search(r'<p class="lead">(.*?)</p>', text)[1]
    assert lead == f"{result.conclusions[0]}."
    assert "but for 2 of 90 rows" in lead
    for title in ("Both maps", "In a few sentences", "Can the head of one read the other?", "Which rows moved"):
        assert f"<h2>{title}</h2>" in text
    assert text.count("<svg") == 2


def test_it_is_whole_and_escaped(made):
    text = made[2]
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "kind <" not in text
    assert "row & 4" not in re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)
    assert "data:image/webp;base64," in text, "pictures of B serve where A has none"


def test_both_maps_show_the_same_items_in_places_that_agree(made):
    text = made[2]
    data = json.loads(re.search(r'id="points">(.*?)</script>', text, flags=re.DOTALL)[1])
    assert [one["title"] for one in data["maps"]] == ["A: A", "B: B"]
    first, second = (np.array([one["x"], one["y"]], dtype=float) for one in data["maps"])
    assert first.shape == second.shape == (2, 90)
    kept = np.setdiff1d(np.arange(90), [4, 7])
    gaps = np.linalg.norm((first - second)[:, kept], axis=0)
    assert np.median(gaps) < 0.5 * np.linalg.norm(second[:, kept].std(1)), "a turned copy lies where its original does"
    assert {"kind", "half", "moved", "neighbours shared"} == data["colours"].keys()
    assert data["colours"]["moved"]["counts"] == [88, 2]


def test_rows_that_moved_come_first(made):
    text = made[2]
    gallery = text[text.index("Which rows moved") :]
    titles = re.findall(r"<strong>(.*?)</strong>", gallery)
    assert {titles[0], titles[1]} == {"row &amp; 4 (moved)", "row &amp; 7 (moved)"}
    assert "(moved)" not in titles[2]


def test_few_items_on_the_map_hold_the_moved_ones_and_no_label_no_readings(made, tmp_path):
    result = compare(*(space.with_columns({}) for space in result_spaces(made)))
    path = write_compare_report(result, tmp_path / "x.html", max_rows=30)
    text = path.read_text("utf-8")
    data = json.loads(re.search(r'id="points">(.*?)</script>', text, flags=re.DOTALL)[1])
    assert len(data["names"]) == 30
    assert {"row & 4", "row & 7"} <= set(data["names"])
    assert "Can the head" not in text
    assert "no readings: no label" in text


def result_spaces(made):
    return [Space.create(space.vectors, ids=[str(one) for one in space.ids]) for space in made[0].spaces]
