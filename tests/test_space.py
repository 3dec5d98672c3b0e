"""A Space in memory, on disk and in other people's readers."""

import datetime as dt
import math

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError, SpaceFormatError
from spaceform.space import Space

VECTORS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
ATTRIBUTES = {
    "concept": ["cat", "dog", None, "cat", "élan", ""],
    "keywords": [{"b", "a"}, ["x"], [], None, ("y", "x"), ["it's"]],
    "year": [2015, None, 3, -1, 5, 2**53 + 1],
    "price": [0.5, math.nan, None, -math.inf, 1e300, -0.0],
    "seen": [True, False, None, True, False, True],
    "day": [dt.date(2020, 1, 1), None, dt.date(1969, 12, 31), dt.date(2024, 2, 29), None, None],
    "at": [dt.datetime(2020, 1, 1, 12, 30, 0, 5), None, None, None, None, dt.datetime(1960, 1, 1)],  # noqa: DTZ001
}
PICTURES = [b"", b"\x89PNG", None, b"x" * 1000, b"y", b"\0"]


def make(**changes):
    given_parts = {"attributes": ATTRIBUTES, "label": "concept", "pictures": PICTURES, "ids": list("abcdef")}
    return Space.create(VECTORS, **{**given_parts, **changes})


@pytest.fixture
def folder(tmp_path):
    return make(encoder={"name": "m", "fingerprint": "f00"}, info={"built": {"from": ["x"], "n": 1}}).save(
        tmp_path / "s"
    )


def test_an_opened_space_equals_the_saved_one(folder):
    made, opened = make(), Space.open(folder)
    assert (len(opened), opened.dim, opened.label, opened.geometry) == (6, 3, "concept", "euclidean")
    assert opened.columns == list(ATTRIBUTES)
    assert opened.encoder == {"name": "m", "fingerprint": "f00"}
    assert opened.info == {"built": {"from": ["x"], "n": 1}}
    assert opened.table.equals(made.table)
    assert opened.ids.tolist() == list("abcdef")
    np.testing.assert_array_equal(opened.vectors, VECTORS)
    assert [opened.picture(i) for i in range(6)] == PICTURES
    opened.verify()


def test_missing_values_become_null_and_sets_are_sorted():
    table = make().table
    assert table["price"].to_pylist() == [0.5, None, None, -math.inf, 1e300, 0.0]
    assert table["keywords"].to_pylist() == [["a", "b"], ["x"], [], None, ["y", "x"], ["it's"]]


def test_columns_as_arrays():
    space = make()
    assert space.column("concept").tolist() == ATTRIBUTES["concept"]
    assert space.column("keywords")[0] == ("a", "b")
    assert space.column("keywords")[3] is None
    assert space.column("year").dtype == np.float64
    assert math.isnan(space.column("year")[1])
    assert space.column("seen").tolist() == ATTRIBUTES["seen"]
    assert space.column("day")[2] == np.datetime64("1969-12-31")
    assert np.isnat(space.column("day")[1])
    assert space.column("at")[0] == np.datetime64("2020-01-01T12:30:00.000005")
    assert space.column("id").tolist() == list("abcdef")
    whole = Space.create(VECTORS, attributes={"i": np.arange(6, dtype=np.int16), "b": np.ones(6, bool)})
    assert whole.column("i").dtype == np.int16
    assert whole.column("b").dtype == np.bool_


@pytest.mark.parametrize(
    ("values", "codes", "classes"),
    [
        (["b", None, "a", "b", "", "a"], [2, -1, 1, 2, 0, 1], ["", "a", "b"]),
        ([10, 9, None, 10, -1, -2], [2, 1, -1, 2, -1, 0], ["-2", "9", "10"]),
        (np.array([3, 3, 0, 1, 1, 255], np.uint8), [2, 2, 0, 1, 1, 3], ["0", "1", "3", "255"]),
        ([True, None, False, True, True, False], [1, -1, 0, 1, 1, 0], ["false", "true"]),
        ([1.5, math.nan, -2.0, 1.5, None, 0.0], [2, -1, 0, 2, -1, 1], ["-2.0", "0.0", "1.5"]),
        ([dt.date(2020, 1, 2), None, dt.date(2019, 1, 1)] * 2, [1, -1, 0, 1, -1, 0], ["2019-01-01", "2020-01-02"]),
        (
            [["b"], None, ["a", "b"], [], ["b"], ["a, b"]],
            [2, -1, 0, 3, 2, 1],
            ['["a", "b"]', '["a, b"]', '["b"]', "[]"],
        ),
        ([None] * 6, [-1] * 6, []),
    ],
)
def test_labels_of_any_type(values, codes, classes):
    y, names = Space.create(VECTORS, attributes={"c": values}, label="c").labels()
    assert y.dtype == np.int64
    assert y.tolist() == codes
    assert names == classes


def test_labels_of_another_column_and_without_label():
    assert make().labels("seen")[1] == ["false", "true"]
    with pytest.raises(InputError, match="without a label"):
        Space.create(VECTORS).labels()


def test_frames_and_arrow_are_taken():
    expected = {"a": ["x", None, "z"] * 2, "n": [1, 2, 3] * 2}
    for frame in (pd.DataFrame(expected), pl.DataFrame(expected), pa.table(expected)):
        assert Space.create(VECTORS, attributes=frame).table.drop(["id"]).to_pydict() == expected


def test_foreign_types_are_settled():
    at = dt.datetime(2020, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    table = pa.table(
        {
            "category": pa.array(["a", "b"] * 3).dictionary_encode(),
            "large": pa.array(["a"] * 6, pa.large_string()),
            "half": np.ones(6, np.float16),
            "decimal": pa.array([1] * 6, pa.decimal128(5, 2)),
            "zoned": pa.array([at] * 6, pa.timestamp("s", "Europe/Berlin")),
            "millis": pa.array([dt.date(2020, 1, 1)] * 6, pa.date64()),
            "nothing": pa.nulls(6),
            "lists": pa.array([["a"]] * 6, pa.large_list(pa.large_string())),
        }
    )
    types = Space.create(VECTORS, attributes=table).table.schema
    assert [str(types.field(name).type) for name in table.column_names[:7]] == [
        "string", "string", "float", "double", "timestamp[ms, tz=UTC]", "date32[day]", "string",
    ]  # fmt: skip
    assert str(types.field("lists").type) == "list<element: string>"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": list("abcdee")}, "'e' again in row 5"),
        ({"ids": list("abc")}, "3 values, expected 6"),
        ({"ids": ["", *"bcdef"]}, "non-empty text"),
        ({"ids": ["a\0", *"bcdef"]}, "without NUL"),
        ({"ids": [1.5, *"bcdef"]}, "strings or integers"),
        ({"ids": [True, *"bcdef"]}, "strings or integers"),
        ({"ids": ["\ud800", *"bcdef"]}, "not valid Unicode"),
        ({"ids": "abcdef"}, "one value per row"),
        ({"label": "conceptt"}, "did you mean 'concept'"),
        ({"geometry": "flat"}, "one of 'euclidean', 'sphere', 'poincare'"),
        ({"geometry": "sphere"}, "rows of norm 1.*divide every row by its norm"),
        ({"geometry": "poincare"}, "norm below 1"),
        ({"encoder": {"name": "m"}}, "fingerprint"),
        ({"encoder": {"fingerprint": "f", "x": math.nan}}, "plain JSON"),
        ({"info": {"x": object()}}, "plain JSON"),
        ({"info": {1: "x"}}, "keys that are not text"),
        ({"info": {"a": [{1: "x"}]}}, "keys that are not text"),
        ({"info": {"x": "\ud800"}}, "plain JSON"),
        ({"info": [1]}, "a mapping"),
        ({"pictures": [b"x"]}, "1 values, expected 6"),
        ({"pictures": ["x"] * 6}, "bytes or None"),
    ],
)
def test_bad_parts_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        make(**changes)


def test_info_that_contains_itself_is_refused():
    loop: dict = {}
    loop["loop"] = loop
    with pytest.raises(InputError, match="plain JSON"):
        make(info=loop)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([1] * 5, "5 values, expected 6"),
        ("abcdef", "one value per row"),
        ({"a": 1}, "one value per row"),
        (7, "one value per row"),
        ([1, "a", 2, 3, 4, 5], "text in row 1 after number in row 0"),
        ([None, True, 3, 3, 4, 5], "number in row 2 after boolean in row 1"),
        ([dt.date(2020, 1, 1), dt.datetime(2020, 1, 1)] * 3, "timestamp in row 1 after date"),  # noqa: DTZ001
        ([2**70] * 6, "too large"),
        ([b"x"] * 6, "type binary"),
        ([{"a": 1}] * 6, "type struct"),
        ([[1]] * 6, "type list<item: int64>"),
        ([["a", None]] * 6, "missing value inside a list"),
        ([dt.timedelta(1)] * 6, "type duration"),
        ([object()] * 6, "expected text, numbers"),
        (["\ud800"] * 6, "not valid Unicode"),
        (np.zeros((6, 2)), r"shape \(6, 2\)"),
        (np.zeros(6, complex), "expected text, numbers"),
    ],
)
def test_bad_columns_are_refused(column, message):
    with pytest.raises(InputError, match=message):
        Space.create(VECTORS, attributes={"c": column})


@pytest.mark.parametrize("name", ["id", "vector", "picture", "", 3, "a\0b", "\ud800"])
def test_bad_names_are_refused(name):
    with pytest.raises(InputError, match="attributes"):
        Space.create(VECTORS, attributes={name: range(6)})


def test_two_columns_of_one_name_are_refused():
    table = pa.Table.from_arrays([pa.array(range(6))] * 2, names=["a", "a"])
    with pytest.raises(InputError, match="two columns named 'a'"):
        Space.create(VECTORS, attributes=table)
    with pytest.raises(InputError, match="a mapping of columns"):
        Space.create(VECTORS, attributes=[1])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, math.nan]], "first in row 0"),
        ([[1.0], [math.inf]], "first in row 1"),
        ([[1e300]], "beyond float32"),
        (np.zeros((0, 3)), "at least 1 row"),
        (np.zeros((3, 0)), "at least 1 column"),
        ([1.0, 2.0], r"shape \(n, d\)"),
        ([["a"]], "numeric"),
        (None, "vectors"),
    ],
)
def test_bad_vectors_are_refused(vectors, message):
    with pytest.raises(InputError, match=message):
        Space.create(vectors)


def test_vectors_of_all_float_types_become_float32():
    for dtype in (np.float16, np.float32, np.float64, np.int64, np.uint8):
        assert Space.create(np.ones((2, 2), dtype)).vectors.dtype == np.float32
    assert Space.create(torch.ones(2, 2)).vectors.tolist() == [[1, 1], [1, 1]]
    assert Space.create(VECTORS).vectors is VECTORS


def test_spheres_and_balls_are_checked_within_tolerance():
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    assert Space.create(unit * 1.0009, geometry="sphere").geometry == "sphere"
    with pytest.raises(InputError, match="row 0"):
        Space.create(unit * 1.002, geometry="sphere")
    assert Space.create(unit * 0.999, geometry="poincare").geometry == "poincare"
    with pytest.raises(InputError, match="norm"):
        Space.create(unit * 1.001, geometry="poincare")


def test_ids_default_to_row_numbers_and_integers_are_taken():
    assert Space.create(VECTORS).ids.tolist() == list("012345")
    assert Space.create(VECTORS, ids=np.arange(10, 16)).ids.tolist() == ["10", "11", "12", "13", "14", "15"]
    assert Space.create(VECTORS, ids=pa.array(list("uvwxyz"))).ids[0] == "u"


def test_with_columns_adds_and_replaces(folder, tmp_path):
    opened = Space.open(folder)
    changed = opened.with_columns({"new": range(6), "year": ["x"] * 6}, label="new")
    assert changed.columns == [*ATTRIBUTES, "new"]
    assert changed.label == "new"
    assert opened.label == "concept"
    again = Space.open(changed.save(tmp_path / "t"))
    assert again.column("year").tolist() == ["x"] * 6
    assert [again.picture(i) for i in range(6)] == PICTURES
    np.testing.assert_array_equal(again.vectors, VECTORS)
    for bad in ({"id": list("abcdef")}, {"a": [1]}):
        with pytest.raises(InputError):
            opened.with_columns(bad)
    with pytest.raises(InputError, match="label"):
        opened.with_columns({}, label="no")


def test_with_vectors_and_info(folder, tmp_path):
    changed = Space.open(folder).with_vectors(np.eye(6), geometry="sphere").with_info({"a": 1})
    again = Space.open(changed.save(tmp_path / "t"))
    assert (again.dim, again.geometry, again.encoder, again.info) == (6, "sphere", None, {"a": 1})
    assert again.picture(1) == PICTURES[1]
    assert again.labels()[1] == ["", "cat", "dog", "élan"]
    with pytest.raises(InputError, match="5 rows"):
        changed.with_vectors(np.eye(5))


@pytest.mark.parametrize("in_memory", [True, False])
def test_select(folder, in_memory):
    space = make() if in_memory else Space.open(folder)
    chosen = space.select([4, 0, 3])
    assert chosen.ids.tolist() == ["e", "a", "d"]
    np.testing.assert_array_equal(chosen.vectors, VECTORS[[4, 0, 3]])
    assert [chosen.picture(i) for i in range(3)] == [PICTURES[i] for i in (4, 0, 3)]
    assert len(chosen) == 3
    assert space.select(np.array([False] * 5 + [True])).ids.tolist() == ["f"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 0], "a row twice"),
        (np.zeros(6, bool), "at least one row"),
        ([True], "1 values, expected 6"),
        ([6], "index 6"),
        ([-1], "index -1"),
        ([0.5], "a mask"),
        ([[0]], "a mask"),
        (["a"], "a mask"),
    ],
)
def test_bad_selections_are_refused(rows, message):
    with pytest.raises(InputError, match=message):
        make().select(rows)


def test_unknown_names_and_rows_are_refused():
    space = make()
    with pytest.raises(InputError, match="did you mean 'price'"):
        space.column("pirce")
    for row in (6, -1, 1.0, True):
        with pytest.raises(InputError):
            space.picture(row)
    with pytest.raises(InputError):
        space.iter_vectors(0)
    with pytest.raises(InputError, match="in memory"):
        space.verify()


def test_the_records_that_are_handed_out_are_copies(folder):
    opened = Space.open(folder)
    opened.info["built"]["n"] = 2
    opened.encoder["name"] = "other"
    assert opened.info["built"]["n"] == 1
    assert opened.encoder["name"] == "m"


def test_streaming_equals_loading_for_any_block_size(tmp_path, monkeypatch):
    monkeypatch.setattr("spaceform.space_payload.ROWS_PER_GROUP", 7)
    vectors = np.random.default_rng(1).normal(size=(40, 5)).astype(np.float32)
    path = Space.create(vectors, attributes={"n": range(40)}).save(tmp_path / "s")
    for size in (1, 6, 7, 8, 39, 40, 1000):
        blocks = list(Space.open(path).iter_vectors(size))
        assert [len(block) for block in blocks[:-1]] == [size] * (len(blocks) - 1)
        np.testing.assert_array_equal(np.concatenate(blocks), vectors)
    chosen = np.random.default_rng(2).permutation(40)[:11]
    np.testing.assert_array_equal(Space.open(path).select(chosen).vectors, vectors[chosen])
    assert all(block.flags.writeable for block in Space.open(path).iter_vectors(7))


def test_many_pictures_make_small_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("spaceform.space_payload._PICTURE_BUDGET", 64_000)
    pictures = [bytes([i % 256]) * 500 if i % 3 else None for i in range(300)]
    path = Space.create(np.zeros((300, 2)), pictures=pictures).save(tmp_path / "s")
    opened = Space.open(path)
    order = np.random.default_rng(0).permutation(300)
    assert [opened.picture(int(i)) for i in order] == [pictures[i] for i in order]
    again = Space.open(opened.with_columns({"n": range(300)}).save(tmp_path / "t"))
    assert again.picture(299) == pictures[299]
    assert (again.select(order).picture(0), again.select(order).picture(299)) == (
        pictures[order[0]],
        pictures[order[299]],
    )


def test_saving_twice_gives_the_same_bytes(tmp_path):
    files = [(make().save(tmp_path / name) / "rows.parquet").read_bytes() for name in "ab"]
    assert files[0] == files[1]


def test_a_space_can_be_saved_over_the_folder_it_was_opened_from(folder):
    opened = Space.open(folder)
    derived = opened.with_columns({"new": range(6)})
    derived.save(folder)
    np.testing.assert_array_equal(derived.vectors, VECTORS)
    assert derived.picture(1) == PICTURES[1]
    with pytest.raises(SpaceFormatError, match="open it again"):
        _ = opened.vectors
    np.testing.assert_array_equal(Space.open(folder).vectors, VECTORS)


def test_column_names_of_all_kinds_survive(tmp_path):
    names = ["vector.list.element", "vector.x", "a b", 'quo"te', "näme", "list", "a.b", "a", "ID", "💡"]
    space = Space.create(VECTORS, attributes={name: [name] * 6 for name in names})
    opened = Space.open(space.save(tmp_path / "s"))
    assert opened.columns == names
    assert [opened.column(name)[0] for name in names] == names
    np.testing.assert_array_equal(opened.vectors, VECTORS)


def test_other_files_in_the_folder_stay(folder):
    (folder / "encoder").mkdir()
    (folder / "encoder" / "w").write_text("x")
    make().save(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["encoder", "rows.parquet", "space.json"]


def test_opens_in_pandas(folder):
    frame = pd.read_parquet(folder / "rows.parquet")
    assert frame["id"].tolist() == list("abcdef")
    np.testing.assert_array_equal(np.stack(frame["vector"]), VECTORS)
    assert frame["picture"][1] == PICTURES[1]


def test_opens_in_polars(folder):
    frame = pl.read_parquet(folder / "rows.parquet")
    assert frame.filter(pl.col("year") == 2015)["id"].to_list() == ["a"]
    np.testing.assert_array_equal(np.stack(frame["vector"].to_list()).astype(np.float32), VECTORS)
    assert frame["keywords"].to_list()[0] == ["a", "b"]


def test_opens_in_duckdb(folder):
    rows = duckdb.execute(
        f"select id, vector, day from '{folder}/rows.parquet' where list_contains(keywords, 'x')"
    ).fetchall()
    assert [row[0] for row in rows] == ["b", "e"]
    np.testing.assert_array_equal(np.array(rows[0][1], np.float32), VECTORS[1])


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
COLUMNS = st.one_of(
    *(
        st.lists(st.none() | values, min_size=4, max_size=4)
        for values in (
            ANY_TEXT,
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
            st.booleans(),
            st.dates(),
            st.datetimes(),
            st.lists(ANY_TEXT, max_size=3),
        )
    )
)


@settings(max_examples=30, deadline=None)
@given(columns=st.dictionaries(ANY_TEXT.filter(lambda name: name and "\0" not in name), COLUMNS, max_size=4))
def test_what_goes_in_comes_out(tmp_path_factory, columns):
    columns = {name: values for name, values in columns.items() if name not in ("id", "vector", "picture")}
    path = Space.create(np.ones((4, 1)), attributes=columns).save(tmp_path_factory.mktemp("s"))
    opened = Space.open(path)
    assert opened.table.drop(["id"]).to_pydict() == columns
    assert [len(opened.labels(name)[0]) for name in columns] == [4] * len(columns)
