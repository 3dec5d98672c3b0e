"""Tables of vectors: list columns, wide columns, labels, ids, and everything that is wrong with them."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.data.layouts import read_table
from spaceform.errors import InputError


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def text(path, content):
    path.write_text(content, encoding="utf-8")
    return path


LISTS = {
    "list": pa.list_(pa.float32()),
    "large": pa.large_list(pa.float64()),
    "fixed": pa.list_(pa.float32(), 2),
    "half": pa.list_(pa.float16()),
    "whole": pa.list_(pa.int64()),
}


@pytest.mark.parametrize("kind", LISTS)
def test_list_columns_of_every_type(tmp_path, kind):
    rows = (
        [[np.float16(1.0), np.float16(2.0)], [np.float16(3.0), np.float16(4.0)]] if kind == "half" else [[1, 2], [3, 4]]
    )
    path = parquet(tmp_path / "a.parquet", v=pa.array(rows, LISTS[kind]), name=["a", "b"])
    source = read_table(path)
    np.testing.assert_array_equal(source.vectors, [[1, 2], [3, 4]])
    assert source.attributes["name"].to_pylist() == ["a", "b"]


@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 5))
@settings(deadline=None, max_examples=25)
def test_rows_keep_their_order_over_row_groups(tmp_path_factory, n, d, group):
    path = tmp_path_factory.mktemp("t") / "a.parquet"
    matrix = np.arange(n * d, dtype=np.float32).reshape(n, d)
    table = pa.table({"v": pa.array(list(matrix), pa.list_(pa.float32())), "k": np.arange(n)})
    pq.write_table(table, path, row_group_size=group)
    source = read_table(path)
    np.testing.assert_array_equal(source.vectors, matrix)
    assert source.attributes["k"].to_pylist() == list(range(n))


@pytest.mark.parametrize("pattern", ["e_", "e_*", "e_[0-9]"])
def test_many_columns_of_one_number_by_prefix_or_pattern(tmp_path, pattern):
    path = text(tmp_path / "a.csv", "id,e_1,e_2,kind\n007,1,2.5,x\n008,3,4,y\n")
    source = read_table(path, vector_columns=pattern, label="kind")
    np.testing.assert_array_equal(source.vectors, [[1, 2.5], [3, 4]])
    assert source.ids == ["007", "008"]
    assert source.label == "kind"
    assert list(source.attributes) == ["kind"]


def test_lists_spelled_out_in_csv_and_tsv(tmp_path):
    path = text(tmp_path / "a.tsv", "v\tlabel\n[0.5, 1]\t0\n[2, 3e-1]\t-1\n")
    source = read_table(path)
    np.testing.assert_array_equal(source.vectors, [[0.5, 1], [2, 0.3]])
    assert source.label == "label"
    assert source.attributes["label"].to_pylist() == [0, None]


def test_names_that_look_like_missing_values_stay(tmp_path):
    path = text(tmp_path / "a.csv", "v,country\n[1],NA\n[2],null\n[3],\n")
    assert read_table(path).attributes["country"].to_pylist() == ["NA", "null", None]


def test_other_columns_keep_their_type_and_gaps(tmp_path):
    day = [dt.date(2020, 1, 1), None]
    path = parquet(tmp_path / "a.parquet", v=[[1.0], [2.0]], day=day, tags=[["a", "b"], []], n=[1, None])
    attributes = read_table(path).attributes
    assert {name: column.to_pylist() for name, column in attributes.items()} == {
        "day": day,
        "tags": [["a", "b"], []],
        "n": [1, None],
    }


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"v": [[1.0], [1.0, 2.0]]}, {}, "1 numbers in row 0 but 2 in row 1"),
        ({"v": [[1.0], None]}, {}, "missing value in row 1"),
        ({"v": [[1.0, 2.0], [3.0, None]]}, {}, "missing value in row 1"),
        ({"v": [[1.0], [float("nan")]]}, {}, "NaN.*row 1"),
        ({"v": [[], []]}, {"vector_column": "v"}, "list of numbers|column"),
        ({"v": [[1.0], [2.0]], "w": [[1.0], [2.0]]}, {}, "2 columns of number lists.*vector_column="),
        ({"a": [1, 2]}, {}, r"0 columns of number lists among 'a' \(int64\)"),
        ({"a": [1, 2]}, {"vector_column": "b"}, r"vector_column: got 'b', expected one of 'a'"),
        ({"a": [1, 2]}, {"vector_column": "a"}, "a column of int64"),
        ({"v": [["x"], ["y"]]}, {"vector_column": "v"}, "list of numbers per row"),
        ({"a": [1, 2]}, {"vector_columns": "e_"}, "meets none"),
        ({"e_1": [1, 2], "e_2": ["x", "y"]}, {"vector_columns": "e_"}, "meets 'e_2', no column of numbers"),
        ({"e_1": [1, None]}, {"vector_columns": "e_"}, "column 'e_1': got a missing value in row 1"),
        ({"v": [[1.0], [2.0]]}, {"vector_columns": "e_", "vector_column": "v"}, "one of the two"),
        ({"v": [[1.0], [2.0]]}, {"label": "kind"}, "label: got 'kind'"),
        ({"v": [[1.0], [2.0]], "id": ["a", "a"]}, {}, "'a' in row 0 and again in row 1"),
        ({"v": [[1.0], [2.0]], "id": ["a", None]}, {}, "missing value in row 1"),
        ({"v": [[1.0], [2.0]]}, {"ids": "key"}, "ids: got 'key'"),
    ],
)
def test_wrong_tables_are_refused_with_the_place(tmp_path, columns, options, message):
    with pytest.raises(InputError, match=message):
        read_table(parquet(tmp_path / "a.parquet", **columns), **options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "damaged or foreign"),
        ("v\n", "no rows"),
        ("v,v\n[1],2\n", r"share a name: \['v'\]"),
        ("v,w\n[1],2\n[2]\n", "damaged or foreign.*columns"),
        ('v\n[1]\n"[1, x]"\n', r"'\[1, x\]' in row 1.*use Parquet"),
    ],
)
def test_wrong_csv_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_table(text(tmp_path / "a.csv", content))


def test_latin_1_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "a.csv").write_bytes("v,name\n[1],caf\xe9\n".encode("latin-1"))
    with pytest.raises(InputError, match="no UTF-8 in column 'name'"):
        read_table(tmp_path / "a.csv", label="name")


def test_half_a_parquet_file_is_refused(tmp_path):
    whole = parquet(tmp_path / "a.parquet", v=[[1.0]] * 50).read_bytes()
    for length in (0, 4, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.parquet").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.parquet: got a damaged or foreign file"):
            read_table(tmp_path / "cut.parquet")


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"ends in \.parquet, \.csv, \.tsv"):
        read_table(text(tmp_path / "a.xlsx", "x"))
