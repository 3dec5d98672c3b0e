"""The store in a folder: what is no store, the one writer, damaged records, other processes."""

import subprocess
import sys

import numpy as np
import pytest

from spaceform.errors import InputError, StoreError
from spaceform.search.stores.disk import MARK
from spaceform.search.stores.opening import open_store


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


KILLED = """
import os, sys
from spaceform.search.stores.opening import open_store
store = open_store(sys.argv[1])
store.create("rows", 2, fields={"n": int})
store.upsert("rows", [1, 2], [[1.0, 0.0], [0.0, 1.0]], {"n": [1, 2]})
store.upsert("rows", [2, 3], [[1.0, 1.0], [0.0, 1.0]], {"n": [20, 3]})
store.delete("rows", where="n = 1")
os._exit(9)
"""


def test_what_was_written_is_there_after_the_writer_was_killed(tmp_path):
    place = str(tmp_path / "s")
    assert subprocess.run([sys.executable, "-c", KILLED, place], check=False).returncode == 9
    with open_store(place) as store:
        assert store.take("rows", [1, 2, 3]).fields.to_pylist() == [{"n": 20}, {"n": 3}]
        store.upsert("rows", [9], [[1.0, 0.0]], {"n": [9]})
        assert store.count("rows") == 3


def test_a_collection_that_is_dropped_can_be_made_again(tmp_path):
    with open_store(str(tmp_path / "s")) as store:
        for dim in (2, 3):
            store.create("rows", dim, info={"made": dim})
            store.upsert("rows", [1], np.ones((1, dim)))
            assert store.describe("rows").info == {"made": dim}
            store.drop("rows")
        assert [path.name for path in (tmp_path / "s").iterdir()] == [MARK]
