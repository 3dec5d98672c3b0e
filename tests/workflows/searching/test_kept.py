"""The index and the map are made once, beside the Space, and anew when it changes or they are damaged."""

import numpy as np
import pytest

from spaceform.search.filtered.index import FilteredIndex
from spaceform.space import Space
from spaceform.workflows.searching import kept as module
from spaceform.workflows.searching.kept import Kept


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SPACEFORM_CACHE", str(tmp_path / "cache"))
    X = np.random.default_rng(0).normal(size=(50, 4))
    return Space.create(X, attributes={"n": list(range(50))}).save(tmp_path / "space")


def kept(folder):
    return Kept(folder, Space.open(folder))


def forbid(monkeypatch):
    monkeypatch.setattr(FilteredIndex, "fit", lambda *_, **__: pytest.fail("made again"))
    monkeypatch.setattr(module, "project", lambda *_, **__: pytest.fail("drawn again"))


def test_made_once_and_cleared_when_the_space_changes(folder, monkeypatch):
    first = kept(folder)
    index, map_ = first.index(), first.map()
    assert index.count("n < 7") == 7
    with monkeypatch.context() as patch:
        forbid(patch)
        assert kept(folder).index().count("n < 7") == 7
        np.testing.assert_array_equal(kept(folder).map().xy, map_.xy)
    Space.open(folder).with_columns({"n": [0] * 50}).save(folder)
    assert kept(folder).index().count("n < 7") == 50
    assert [entry.name for entry in (folder / "index").iterdir()] == [kept(folder).name]
    assert kept(folder).name != first.name


def test_damage_is_repaired(folder):
    one = kept(folder)
    one.index(), one.map()
    (one.places[0] / "rows" / "index.json").write_text("{")
    (one.places[0] / "map.npy").write_bytes(b"nonsense")
    assert kept(folder).index().count("n < 7") == 7
    assert len(kept(folder).map().xy) == 50


def test_the_cache_serves_where_the_folder_can_not_be_written(folder, monkeypatch):
    (folder / "index").write_text("a file in the way")
    one = kept(folder)
    assert one.index().count() == 50
    assert len(one.map().rows) == 50
    forbid(monkeypatch)
    assert one.index().count() == 50
    assert (one.places[1] / "map.npy").is_file()
