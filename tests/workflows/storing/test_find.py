"""Searching what was pushed: by row, vector and text, as in the Space itself."""

import numpy as np
import pytest

from spaceform.errors import FilterError, InputError, SpaceFormatError
from spaceform.search.stores.opening import open_store
from spaceform.workflows.search import search
from spaceform.workflows.searching import encoding as space_search
from spaceform.workflows.storing.find import fields_of, search_store
from spaceform.workflows.storing.push import push
from workflows.storing.conftest import VECTORS, make


@pytest.fixture
def uri(folder, tmp_path):
    push(folder, f"disk:{tmp_path}/s")
    return f"disk:{tmp_path}/s"


@pytest.mark.parametrize("query", ["a", [0.1, 0.7]])
@pytest.mark.parametrize("where", [None, "year >= 2015", "keywords contains 'pet' or name is null"])
def test_answers_are_those_of_the_space(folder, uri, query, where):
    found, expected = search_store(uri, query, where=where, k=3), search(folder, query, where=where, k=3)
    assert (found.way, found.anchors, found.passing, found.where) == (
        expected.way, expected.anchors, expected.passing, expected.where,
    )  # fmt: skip
    assert [row["id"] for row in found.rows] == [row["id"] for row in expected.rows]
    for row, other in zip(found.rows, expected.rows, strict=True):
        assert row["closeness"] == pytest.approx(other["closeness"], abs=1e-6)
        assert row["attributes"] == other["attributes"]
    assert list(found.to_dict()["rows"][0]) == ["rank", "id", "closeness", "attributes"]
    assert fields_of(uri) == ["name", "keywords", "year"]


def test_a_text_is_placed_by_what_encodes(uri):
    result = search_store(uri, "some words", encode=lambda texts: np.array([[0.0, 1.0]] * len(texts)))
    assert (result.way, result.rows[0]["id"]) == ("encoder", "d")
    with pytest.raises(InputError, match="encode"):
        search_store(uri, "some words", encode=lambda texts: np.ones((1, 3)))


class Encoder:
    """What a folder's encoder would be."""

    fingerprint = "one"

    def encode(self, texts):
        return np.array([[0.0, 1.0]])


def test_a_text_is_placed_by_the_encoder_on_record_and_no_other(tmp_path, monkeypatch):
    made = make(encoder={"kind": "TextEncoder", "fingerprint": "one"})
    folder, uri = made.save(tmp_path / "made"), f"disk:{tmp_path}/s"
    push(folder, uri)
    opened = []
    monkeypatch.setattr(space_search, "open_encoder", lambda place: opened.append(place) or Encoder())
    assert search_store(uri, "fruit", k=1).rows[0]["id"] == "d"
    assert search_store(uri, "fruit", k=1, encoder=tmp_path).rows[0]["id"] == "d"
    assert opened == [folder.resolve(), tmp_path]
    monkeypatch.setattr(Encoder, "fingerprint", "two")
    with pytest.raises(SpaceFormatError, match="not the one that made its vectors"):
        search_store(uri, "fruit")


def test_what_can_not_be_placed_is_refused(uri, tmp_path):
    for query, options, error, message in (
        ("zebra", {}, InputError, "needs the encoder"),
        ("", {}, InputError, "id of a row"),
        ([1.0], {}, InputError, "vector of 2"),
        ("a", {"where": "yaer = 1"}, FilterError, "yaer"),
        ("a", {"k": 0}, InputError, "k: got 0"),
        ("a", {"name": "other"}, InputError, "my_space"),
    ):
        with pytest.raises(error, match=message):
            search_store(uri, query, **options)
    with pytest.raises(InputError, match="no collection"):
        search_store(f"disk:{tmp_path}/none", "a")


def test_collections_of_other_makers_are_searched_by_vector(tmp_path):
    uri = f"disk:{tmp_path}/s"
    with open_store(uri) as store:
        store.create("rows", 2, fields={"n": int})
        store.upsert("rows", [7, 8], VECTORS[:2], {"n": [1, 2]})
        store.create("more", 2)
    assert search_store(uri, VECTORS[0], name="rows", k=1).rows[0]["id"] == "7"
    with pytest.raises(InputError, match="'more', 'rows'"):
        search_store(uri, VECTORS[0])
