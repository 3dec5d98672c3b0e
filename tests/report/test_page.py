"""The page without a browser: whole, escaped, and true to what it was given."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from spaceform.report.page import Gallery, GalleryLine, MapView, Notes, Section, Table, format_value, render
from spaceform.report.sprites import SIDE, make_sheet

HOSTILE = '</script><script>alert("x")</script>&<b>'


def picture(colour, size=(48, 48)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def page():
    sheet = make_sheet({row: picture((row * 20, 0, 0)) for row in range(5)})
    view = MapView(
        xy=np.random.default_rng(0).normal(size=(5, 2)),
        rows=range(5),
        names=[HOSTILE, "b", "c", "d", "e"],
        colours={"kind": ["x", "x", None, "y", HOSTILE]},
        texts={"note": [HOSTILE] * 5},
    )
    blocks = [
        Notes(sentences=[HOSTILE]),
        Table(columns=("name", "share"), rows=[(HOSTILE, 0.5), ("none", None)], bars=(1,)),
        Gallery(lines=[GalleryLine(title=HOSTILE, groups=[[0, 1], [2, 7]])]),
    ]
    return render(
        title=HOSTILE,
        lead="lead",
        facts={"rows": "5"},
        view=view,
        sections=[Section(title="Part", blocks=blocks)],
        sheet=sheet,
        labels=[HOSTILE] * 8,
    )


def test_hostile_texts_stay_texts(page):
    assert "alert(" in page
    assert "<script>alert" not in page
    assert (page.count("<script>"), page.count('<script type="module">')) == (0, 1)
    assert page.count("</script>") == 2


def test_nothing_is_loaded_from_anywhere(page):
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "http" not in re.sub(r"data:image/webp;base64,[^)]+", "", page)


def test_the_sheet_is_embedded_once_and_used_by_position(page):
    assert page.count("data:image/webp") == 1
    assert page.count('class="pic"') == 4  # three pictures in the gallery and the one of the hover
    assert f"background-position:-{SIDE}px -0px" in page


def test_map_data_keep_their_order(page):
    data = json.loads(re.search(r'id="points">(.*?)</script>', page).group(1))
    assert data["names"][1:] == ["b", "c", "d", "e"]
    assert data["colours"]["kind"]["classes"][0] == "x"
    assert data["colours"]["kind"]["codes"][2] == -1
    assert data["texts"]["note"][0] == HOSTILE
    assert max(map(abs, data["maps"][0]["x"] + data["maps"][0]["y"])) <= 10_000


def test_without_map_and_pictures():
    text = render(title="t", lead="l", facts={}, view=None, sections=[], sheet=None, labels=[])
    assert "<canvas" not in text
    assert "<script" not in text


def test_pictures_are_fitted_and_unreadable_ones_left_out():
    sheet = make_sheet({3: picture("red", (10, 90)), 5: b"no picture", 9: picture("blue", (200, 100))})
    assert set(sheet.cells) == {3, 9}
    assert make_sheet({}) is None
    assert make_sheet({1: b"no picture"}) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (True, "yes"),
        (12345, "12,345"),
        (0.123456, "0.1235"),
        (float("nan"), "–"),
        (98765.4, "98,765"),
        ("a", "a"),
    ],
)
def test_cells(value, shown):
    assert format_value(value) == shown
