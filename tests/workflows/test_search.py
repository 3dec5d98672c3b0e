"""Searching a Space by row, vector and text, with and without filters."""

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pytest

from spaceform.errors import FilterError, InputError, SpaceFormatError
from spaceform.geometry import PoincareBall
from spaceform.search.filters import F
from spaceform.space import Space
from spaceform.workflows.search import search
from spaceform.workflows.searching import encoding as module
from spaceform.workflows.searching.placing import MAX_ANCHORS
from spaceform.workflows.searching.words import match_words, text_columns

NAMES = ["cat", "black cat", "dog", "red apple", "green apples", "grapes", "car", "猫の顔", None, "Straße"]
VECTORS = np.array(
    [[1, 0], [1, 0.1], [0.8, 0.6], [0, 1], [-0.1, 1], [-0.3, 1], [-1, 0], [1, -0.1], [-1, -1], [0, -1]], np.float32
)
ATTRIBUTES = {
    "name": NAMES,
    "keywords": [["pet"], ["pet", "night"], ["pet"], ["fruit"], ["fruit"], ["fruit"], [], None, ["pet"], ["way"]],
    "year": [2010, 2015, None, 2016, 2017, 2018, 2019, 2020, 2021, 2022],
    "price": [1.5, float("inf"), None, 1, 2, 3, 4, 5, 6, 7],
    "day": [dt.date(2020, 1, 1)] * 10,
}


def make(geometry="euclidean", **changes):
    scale = {"euclidean": 1, "sphere": 1 / np.linalg.norm(VECTORS, axis=1, keepdims=True), "poincare": 0.5}[geometry]
    parts = {"attributes": ATTRIBUTES, "ids": list("abcdefghij"), "geometry": geometry, **changes}
    return Space.create(VECTORS * scale, **parts)


def ids(result):
    return [row["id"] for row in result.rows]


def test_near_a_row_which_is_not_its_own_answer():
    result = search(make(), "a", k=3)
    assert (result.way, result.anchors, result.metric, result.passing) == ("id", ("a",), "euclidean", 9)
    assert ids(result) == ["b", "h", "c"]
    first = result.rows[0]
    assert list(first) == ["rank", "id", "closeness", "attributes"]
    assert first["rank"] == 1
    assert first["closeness"] == pytest.approx(-0.1)
    assert first["attributes"] == {name: values[1] for name, values in ATTRIBUTES.items()}


def test_near_a_vector_by_the_geometry():
    query = [0.0, 0.9]
    for geometry, metric in (("euclidean", "euclidean"), ("sphere", "cosine"), ("poincare", "poincare")):
        space = make(geometry)
        result = search(space, query, k=10)
        assert (result.way, result.query, result.metric, result.anchors) == ("vector", None, metric, ())
        assert len(result.rows) == 10
        closeness = [row["closeness"] for row in result.rows]
        assert closeness == sorted(closeness, reverse=True)
        if geometry == "sphere":
            assert closeness[0] == 1.0
        if geometry == "poincare":
            points = space.vectors.astype(np.float64)
            expected = PoincareBall().distance(np.array(query)[None], points)
            np.testing.assert_allclose(closeness, -np.sort(expected), atol=1e-9)


def test_text_stands_for_the_rows_that_match_its_words():
    result = search(make(), "cat", k=2)
    assert (result.way, result.anchors) == ("words", ("a",))  # the shorter document matches better
    assert ids(result) == ["a", "b"]
    both = search(make(), "Fruits", k=3)
    assert both.anchors == ("d", "e", "f")
    mean = VECTORS[3:6].astype(np.float64).mean(0)
    assert both.rows[0]["closeness"] == pytest.approx(-np.linalg.norm(VECTORS[4] - mean))
    assert ids(both) == ["e", "d", "f"]


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("black cat", "b"),
        ("CAT black", "b"),
        ("apple", "d"),
        ("apples", "d"),
        ("grape", "f"),
        ("gree", "e"),
        ("猫", "h"),
        ("straße", "j"),
        ("night unknownword", "b"),
        ("appl'; DROP TABLE", "d"),
        ("(c.t|.*) cat", "a"),
    ],
)
def test_words_are_matched_case_plural_and_prefix_aside(query, best):
    rows, scores = match_words(make().table, query)
    assert make().ids[rows[0]] == best
    assert (np.diff(scores) <= 0).all()
    assert (scores > 0).all()


def test_rare_words_weigh_more_and_repeats_saturate():
    table = pa.table({"t": ["the " * 9 + "cat", "the the the dog", "the bird", "the fish"]})
    rows, _ = match_words(table, "the cat")
    assert rows[0] == 0
    rows, scores = match_words(pa.table({"t": ["a b", "b a", "c d"]}), "a")
    assert rows.tolist() == [0, 1]
    assert scores[0] == scores[1]
    assert match_words(pa.table({"n": [1, 2]}), "a")[0].tolist() == []
    assert match_words(table, "?!")[0].tolist() == []


def test_text_columns_leave_out_the_id():
    assert text_columns(make().table) == ["name", "keywords"]


def test_at_most_so_many_rows_stand_for_a_text():
    space = Space.create(np.random.default_rng(0).normal(size=(100, 3)), attributes={"c": ["x"] * 100})
    assert search(space, "x").anchors == tuple(map(str, range(MAX_ANCHORS)))


def test_opposite_anchors_on_the_sphere_fall_back_to_the_first():
    space = Space.create([[1.0, 0], [-1, 0], [0, 1]], attributes={"c": ["x", "x", "y"]}, geometry="sphere")
    assert ids(search(space, "x", k=1)) == ["0"]


def test_anchors_in_the_ball_meet_at_its_own_mean():
    space = make("poincare")
    points = space.vectors[3:6].astype(np.float64)
    expected = -PoincareBall().distance(PoincareBall().mean(points)[None], points[1:2])[0]
    assert search(space, "fruit", k=1).rows[0]["closeness"] == pytest.approx(expected)


def test_an_encoder_is_asked_when_there_is_one():
    asked = []

    def encode(texts):
        asked.extend(texts)
        return np.array([[0.0, -2.0]], np.float32)

    result = search(make(), "anything at all", k=1, encode=encode)
    assert asked == ["anything at all"]
    assert (result.way, result.anchors, ids(result)) == ("encoder", (), ["j"])
    assert search(make(), "a", encode=encode).way == "id"
    assert search(make(), [0, 1], encode=encode).way == "vector"


@pytest.mark.parametrize("encoded", [np.zeros(2), np.zeros((2, 2)), np.zeros((1, 3)), [[np.nan, 1]], [["x", "y"]]])
def test_an_encoder_that_does_not_fit_is_refused(encoded):
    with pytest.raises(InputError, match="encode"):
        search(make(), "anything", encode=lambda _: encoded)


@pytest.mark.parametrize("query", ["a", "cat", [1.0, 0.0]])
@pytest.mark.parametrize(
    "where", ["year >= 2016 and not keywords contains 'way'", (F("year") >= 2016) & (F("year") < 2022)]
)
def test_filters_hold_for_every_way(query, where):
    result = search(make(), query, where=where, k=100)
    passing = [i for i, year in enumerate(ATTRIBUTES["year"]) if year and 2016 <= year < 2022 and i != 7]
    expected = {"abcdefghij"[i] for i in passing} | ({"h"} if not isinstance(where, str) else set())
    assert set(ids(result)) == expected
    assert result.passing == len(expected)
    assert result.where == str(where) if not isinstance(where, str) else "NOT keywords CONTAINS 'way'" in result.where


def test_a_filter_that_nothing_passes_gives_an_empty_answer():
    result = search(make(), "a", where="year > 3000")
    assert (result.rows, result.passing) == ([], 0)
    assert search(make(), "a", where="id = 'a'").rows == []
    assert ids(search(make(), "a", where="id in ('b', 'a')")) == ["b"]


def test_a_folder_does_as_well_and_answers_the_same(tmp_path):
    path = make("sphere").save(tmp_path / "s")
    for query in ("a", "cat", [0.5, 0.5]):
        assert search(path, query) == search(make("sphere"), query) == search(str(path), query)


def test_the_plain_form_is_json():
    text = json.dumps(search(make(), "a").to_dict(), allow_nan=False)
    plain = json.loads(text)
    assert plain["rows"][0]["attributes"]["price"] is None
    assert plain["rows"][0]["attributes"]["day"] == "2020-01-01"
    assert plain["anchors"] == ["a"]


class Stub:
    dim, fingerprint = 2, "f00"

    def encode(self, texts):
        return np.array([[0.0, -1.0]] * len(texts))


def test_a_folder_with_a_text_encoder_uses_it(tmp_path, monkeypatch):
    record = {"kind": "TextEncoder", "fingerprint": "f00"}
    path = make(encoder=record).save(tmp_path / "s")
    monkeypatch.setattr(module, "open_encoder", lambda folder: Stub() if folder == path else None)
    result = search(path, "down", k=1)
    assert (result.way, ids(result)) == ("encoder", ["j"])
    assert search(path, "down", k=1, encode=lambda _: [[1.0, 0.0]]).rows[0]["id"] == "a"
    other = make(encoder={**record, "fingerprint": "bad"}).save(tmp_path / "t")
    monkeypatch.setattr(module, "open_encoder", lambda _: Stub())
    with pytest.raises(SpaceFormatError, match="not the one that made its vectors"):
        search(other, "down")
    assert search(other, "a").way == "id"
    monkeypatch.setattr(module, "open_encoder", lambda _: None)
    with pytest.raises(SpaceFormatError, match="missing"):
        search(path, "down")
    pictures = make(encoder={**record, "kind": "FaceNet"}).save(tmp_path / "u")
    assert search(pictures, "cat").way == "words"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("zebra", "'zebra', which no row matches, expected words of 'name', 'keywords', or a row id such as 'a'"),
        ("", "a row id, some words, or a vector"),
        ("  ", "a row id, some words, or a vector"),
        ("\ud800", "a row id, some words, or a vector"),
        ("?!", "no row matches"),
        ([1.0], "2 numbers"),
        ([[1.0, 2.0]], "2 numbers"),
        ([1.0, np.nan], "query: .*finite"),
        (5, "2 numbers"),
        (None, "a query or an image"),
        (["x", "y"], "2 numbers"),
        ({"a": 1}, "2 numbers"),
    ],
)
def test_queries_that_are_nothing_are_refused(query, message):
    with pytest.raises(InputError, match=message):
        search(make(), query)


def test_other_bad_input_is_refused(tmp_path):
    with pytest.raises(InputError, match="no attribute is text"):
        search(Space.create(VECTORS), "cat")
    with pytest.raises(InputError, match="k: got 0"):
        search(make(), "a", k=0)
    with pytest.raises(FilterError, match="did you mean 'year'"):
        search(make(), "a", where="yaer = 1")
    with pytest.raises(FilterError, match="a condition"):
        search(make(), "a", where="")
    with pytest.raises(InputError, match="direction"):
        search(make("sphere"), [0.0, 0.0])
    with pytest.raises(InputError, match="norm"):
        search(make("poincare"), [2.0, 0.0])
    with pytest.raises(SpaceFormatError, match="no such folder"):
        search(tmp_path / "nowhere", "a")


def test_a_picture_is_placed_as_the_rows_were(tmp_path):
    from spaceform.data.pictures import as_vectors, encode_png

    shown = np.random.default_rng(0).integers(0, 256, (6, 9, 9, 3), dtype=np.uint8)
    encoded = encode_png(shown)
    path = Space.create(as_vectors(shown), geometry="sphere", pictures=encoded).save(tmp_path / "s")
    (tmp_path / "p.png").write_bytes(encoded[4])
    result = search(path, image=tmp_path / "p.png", k=1)
    assert (result.way, ids(result), result.query) == ("picture", ["4"], None)
    assert result.rows[0]["closeness"] == pytest.approx(1.0)
    (tmp_path / "bad.png").write_bytes(b"<svg>")
    other = make().save(tmp_path / "t")
    for space, options, message in (
        (path, {"image": tmp_path / "bad.png"}, "no picture that can be read"),
        (path, {"image": tmp_path / "none.png"}, "No such file"),
        (other, {"image": tmp_path / "p.png"}, "search by words or by a row"),
        (make(), {"image": tmp_path / "p.png"}, "a Space in memory"),
        (path, {}, "neither"),
        (path, {"image": tmp_path / "p.png", "query": "4"}, "both"),
    ):
        with pytest.raises(InputError, match=message):
            search(space, **options)
