"""Pushing a Space: what is written, again, resumed, refused."""

import numpy as np
import pyarrow as pa
import pytest

from spaceform.errors import InputError
from spaceform.search.stores.opening import open_store
from spaceform.search.stores.store import CheckedStore
from spaceform.space import Space
from spaceform.workflows.storing import push as module
from spaceform.workflows.storing.push import push, row_number, row_numbers
from workflows.storing.conftest import VECTORS, make


@pytest.mark.parametrize("form", ["disk:{}/s", "{}/s.db", "lance:{}/l"])
def test_rows_arrive_whole_and_a_second_push_changes_nothing(folder, tmp_path, form):
    uri = form.format(tmp_path)
    first = push(folder, uri, batch_size=2)
    assert (first.name, first.rows, first.written, first.others, first.metric) == ("my_space", 5, 5, 0, "euclidean")
    assert push(folder, uri, batch_size=3).written == 5
    again = push(folder, uri, resume=True)
    assert (again.written, again.unchanged) == (0, 5)
    space = Space.open(folder)
    with open_store(uri) as store:
        assert store.names() == ["my_space"]
        rows = store.take("my_space", row_numbers(space.table["id"]))
        order = np.argsort(row_numbers(space.table["id"]))
        np.testing.assert_array_equal(rows.vectors, VECTORS[order])
        assert rows.fields.to_pylist() == space.table.take(pa.array(order)).to_pylist()
        assert store.describe("my_space").info["space"]["folder"] == str(folder.resolve())


def test_a_push_that_was_broken_off_goes_on_with_what_is_missing(folder, tmp_path, monkeypatch):
    uri, whole = f"disk:{tmp_path}/s", CheckedStore.upsert
    calls = []

    def breaking(store, *arguments):
        calls.append(len(arguments[1]))
        if len(calls) == 2:
            raise KeyboardInterrupt
        whole(store, *arguments)

    monkeypatch.setattr(CheckedStore, "upsert", breaking)
    with pytest.raises(KeyboardInterrupt):
        push(folder, uri, batch_size=2)
    monkeypatch.undo()
    result = push(folder, uri, batch_size=2, resume=True)
    assert (result.written, result.unchanged) == (3, 2)
    with open_store(uri) as store:
        assert store.count("my_space") == 5


def test_changed_rows_are_written_and_rows_that_went_are_counted(folder, tmp_path):
    uri = f"disk:{tmp_path}/s"
    push(folder, uri)
    made = make()
    changed = made.with_columns({"year": [1, 2015, None, 2016, 2017]}).select([0, 1, 3])
    result = push(changed, uri, name="my_space", batch_size=1, resume=True)
    assert (result.written, result.unchanged, result.others) == (1, 2, 2)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"encoder": {"fingerprint": "other"}}, {}, "of the encoder"),
        ({"attributes": {"name": ["x"] * 5}}, {}, "the columns"),
        ({}, {"metric": "cosine"}, "the metric"),
        ({}, {"metric": "l3"}, "metric: got 'l3'"),
        ({}, {"batch_size": 0}, "batch_size: got 0"),
        ({}, {"name": "no good"}, "name: got"),
    ],
)
def test_what_does_not_fit_is_refused(folder, tmp_path, changes, options, message):
    uri = f"disk:{tmp_path}/s"
    push(folder, uri)
    with pytest.raises(InputError, match=message):
        push(make(**changes), uri, **{"name": "my_space", **options})


def test_a_ball_and_a_space_without_a_name_are_refused():
    ball = Space.create(VECTORS / 2, geometry="poincare")
    with pytest.raises(InputError, match="poincare"):
        push(ball, "memory:", name="ball")
    with pytest.raises(InputError, match="name: got None"):
        push(make(), "memory:")
    assert push(ball, "memory:", name="ball", metric="euclidean").written == 5


def test_two_ids_of_one_number_are_refused(monkeypatch):
    assert 0 <= row_number("a") < 2**62
    assert row_number("a") != row_number("b")
    monkeypatch.setattr(module, "row_number", lambda text: 7)
    with pytest.raises(InputError, match="distinct hashes"):
        row_numbers(pa.chunked_array([["a", "b"]]))
