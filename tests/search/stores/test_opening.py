"""URIs, folders that are no stores, the one writer, damaged records."""

import numpy as np
import pytest

from spaceform.errors import InputError, StoreError
from spaceform.search.stores.opening import open_store, scheme_of


def test_schemes():
    assert scheme_of("memory:") == ("memory", "")
    assert scheme_of("disk:a b/c") == ("disk", "a b/c")
    assert scheme_of("./a/b") == ("disk", "./a/b")


@pytest.mark.parametrize("uri", ["", " ", "disk:", "mysql://x", "memory:x", "a\0b", 5])
def test_other_uris_are_refused_with_those_there_are(uri):
    with pytest.raises(InputError, match="memory:"):
        open_store(uri)


@pytest.mark.parametrize("uri", ["memory:", "disk:x"])
def test_a_token_is_refused_where_there_is_none(uri):
    with pytest.raises(InputError, match="token"):
        open_store(uri, token="secret")


def test_a_folder_of_something_else_is_refused_and_none_is_made_by_looking(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "space.json").write_text("{}")
    for place in ("other", "other/space.json"):
        with pytest.raises(InputError, match="no store"):
            open_store(str(tmp_path / place))
    assert open_store(str(tmp_path / "typo")).names() == []
    assert not (tmp_path / "typo").exists()


def test_one_process_writes_at_a_time(tmp_path):
    with open_store(str(tmp_path / "s")) as first, open_store(str(tmp_path / "s")) as second:
        first.create("rows", 2)
        first.upsert("rows", [1], [[1.0, 0.0]])
        with pytest.raises(InputError, match="one writer"):
            second.upsert("rows", [2], [[1.0, 0.0]])
        first.close()
        second.upsert("rows", [2], [[1.0, 0.0]])
        assert first.count("rows") == second.count("rows") == 2


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "other", "version": 1}', '{"format": "spaceform'])
def test_a_record_that_was_changed_is_refused(tmp_path, text):
    with open_store(str(tmp_path / "s")) as store:
        store.create("rows", 2)
        (tmp_path / "s" / "rows" / "collection.json").write_text(text)
        with pytest.raises(StoreError, match="rows"):
            store.search("rows", np.ones((1, 2)), 1)
