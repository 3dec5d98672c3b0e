"""The store in a folder: what is no store, the one writer, damaged records, other processes."""

import os

import numpy as np
import pytest

from spaceform.errors import InputError, StoreError
from spaceform.search.exact import exact_search
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


def test_an_upsert_that_is_cut_off_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    place, write = str(tmp_path / "s"), os.pwrite
    with open_store(place) as store:
        store.create("rows", 2, fields={"n": int})
        store.upsert("rows", [1, 2], np.eye(2), {"n": [1, 2]})
    for cut in (0, 10, 60, None):
        with open_store(place) as store, monkeypatch.context() as patch:
            store.delete("rows", ids=[99])  # takes the lock

            def dying(handle, data, offset, cut=cut):
                write(handle, data[:cut], offset)
                raise KeyboardInterrupt

            patch.setattr(os, "pwrite", dying)
            with pytest.raises(KeyboardInterrupt):
                store.upsert("rows", [2, 3, 1], np.ones((3, 2)), {"n": [20, 30, 10]})
            assert store.take("rows", [1, 2, 3]).fields.to_pylist() == [{"n": 1}, {"n": 2}]
        with open_store(place) as store:
            found = [row["n"] for row in store.take("rows", [1, 2, 3]).fields.to_pylist()]
            assert found == ([10, 20, 30] if cut is None else [1, 2])


def test_an_approximate_collection_asks_for_less(tmp_path):
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(1200, 8)).astype(np.float32)
    queries = vectors[:40] + 0.3 * generator.normal(size=(40, 8))
    with open_store(str(tmp_path / "s")) as store:
        found = {}
        for index in ("auto", "approximate"):
            store.create(index, 8, metric="euclidean", index=index)
            store.upsert(index, np.arange(1200), vectors)
            found[index] = store.search(index, queries, 10).ids
        truth = exact_search(queries, vectors, k=10, metric="euclidean").rows
    np.testing.assert_array_equal(found["auto"], truth)
    assert np.mean([np.isin(a, b).mean() for a, b in zip(found["approximate"], truth, strict=True)]) >= 0.9


def test_a_collection_that_is_dropped_can_be_made_again(tmp_path):
    with open_store(str(tmp_path / "s")) as store:
        for dim in (2, 3):
            store.create("rows", dim, info={"made": dim})
            store.upsert("rows", [1], np.ones((1, dim)))
            assert store.describe("rows").info == {"made": dim}
            store.drop("rows")
        assert [path.name for path in (tmp_path / "s").iterdir()] == [MARK]
