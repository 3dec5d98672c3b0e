"""Columns of a table: which are vectors, which are text, and what is left."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from spaceform.data.layouts import columns
from spaceform.errors import InputError

TABLE = pa.table(
    {
        "v": pa.array([[1.0], [2.0]], pa.list_(pa.float32())),
        "spelled": ["[1, 2]", "[3, 4]"],
        "words": [["a"], []],
        "kind": pa.array(["x", "y"]).dictionary_encode(),
        "label": pa.array([0, -1]),
        "when": pa.array([1, 2], pa.timestamp("s")),
    }
)


def test_columns_of_number_lists_are_found():
    assert columns.number_list_columns(TABLE) == ["v", "spelled"]


def test_text_may_be_plain_large_or_categories():
    kinds = [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
    assert all(columns.is_text(kind) for kind in kinds)
    assert not any(columns.is_text(kind) for kind in (pa.binary(), pa.int8(), pa.dictionary(pa.int8(), pa.int8())))


def test_lists_and_spelled_lists_become_vectors():
    np.testing.assert_array_equal(columns.nested_vectors(TABLE.column("v"), "v"), [[1], [2]])
    np.testing.assert_array_equal(columns.nested_vectors(TABLE.column("spelled"), "s"), [[1, 2], [3, 4]])
    with pytest.raises(InputError, match="words: got a column of list"):
        columns.nested_vectors(TABLE.column("words"), "words")


def test_a_slice_of_a_table_is_read_where_it_is():
    np.testing.assert_array_equal(columns.nested_vectors(TABLE.slice(1).column("v"), "v"), [[2]])
    fixed = pa.table({"v": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2))})
    np.testing.assert_array_equal(columns.nested_vectors(fixed.slice(1).column("v"), "v"), [[3, 4]])


def test_minus_one_among_labels_is_missing_and_elsewhere_a_number():
    left = columns.attribute_columns(TABLE, "label", None)
    assert left["label"].to_pylist() == [0, None]
    assert columns.attribute_columns(TABLE, None, None)["label"].to_pylist() == [0, -1]


def test_the_label_is_found_by_its_name():
    assert columns.label_column(TABLE, None) == "label"
    assert columns.label_column(TABLE.drop_columns(["label"]), None) is None
    assert columns.label_column(TABLE, "kind") == "kind"


def test_ids_may_have_any_name_and_type():
    assert columns.id_column(TABLE, "label", Path("t")) == ["0", "-1"]
    assert columns.id_column(TABLE, None, Path("t")) is None


def test_long_lists_of_columns_are_cut():
    wide = pa.table({f"c{index}": [1] for index in range(50)})
    assert "and 30 more" in columns.listed(wide)
