"""Values become labels, conditions become the labels they ask for, and what a method can't serve is refused."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.search.attributes import Schema
from spaceform.search.filtered.rows import attribute_table
from spaceform.search.filters import as_expression
from spaceform.search.references.labels import Labels

TABLE = attribute_table(
    {
        "kind": ["a", "b", None, "a"],
        "tags": [["x"], ["x", "y"], [], None],
        "size": [1, 2, 2, 3],
    },
    np.arange(4),
)


def asked(text):
    return as_expression(text).check(Schema.of(TABLE))


def test_rows_have_a_label_for_every_value_and_none_for_missing_ones():
    labels = Labels(TABLE, ["kind", "tags"])
    assert [rows.tolist() for rows in labels.members()] == [[0, 3], [1], [0, 1], [1]]
    assert labels.bits.ravel().tolist() == [0b0101, 0b1110, 0, 0b0001]
    assert labels.codes[:, 0].tolist() == [0, 1, -1, 0]
    assert Labels(TABLE, None).columns == ["kind", "tags"]


def test_any_of_all_of_and_equal_to():
    labels = Labels(TABLE, ["kind", "tags", "size"])
    assert labels.any_of(asked("kind in ('a', 'b', 'z')")).tolist() == [0, 1]
    assert labels.any_of(asked("tags contains any ('x', 'z')")).tolist() == [2]
    assert labels.any_of(asked("kind = 'z'")).tolist() == []
    assert labels.all_of(asked("tags contains all ('x', 'y') and kind = 'b'")).tolist() == [1, 2, 3]
    assert labels.all_of(asked("tags contains all ('x', 'z')")) is None
    assert labels.all_of(asked(None)).tolist() == []
    single = Labels(TABLE, ["kind", "size"])
    assert single.equal_to(asked("size = 2")).tolist() == [-1, 1]
    assert single.equal_to(asked("kind = 'a' and kind = 'b'")) is None
    assert single.equal_to(asked("kind = 'z'")) is None


@pytest.mark.parametrize(
    ("way", "text"),
    [
        ("any_of", "size between 1 and 2"),
        ("any_of", "kind != 'a'"),
        ("any_of", "kind = 'a' and size = 1"),
        ("any_of", "tags contains all ('x', 'y')"),
        ("any_of", None),
        ("all_of", "kind = 'a' or kind = 'b'"),
        ("all_of", "tags contains any ('x', 'y')"),
        ("equal_to", "kind in ('a', 'b')"),
        ("equal_to", "not kind = 'a'"),
        ("equal_to", "id = 1"),
    ],
)
def test_other_conditions_are_refused(way, text):
    with pytest.raises(InputError, match="where"):
        getattr(Labels(TABLE, ["kind", "tags", "size"]), way)(asked(text))


def test_columns_must_be_there_and_have_values():
    with pytest.raises(InputError, match="columns"):
        Labels(TABLE, ["nothing"])
    with pytest.raises(InputError, match="one at least"):
        Labels(attribute_table({"size": [1]}, np.arange(1)), None)
    with pytest.raises(InputError, match="1 to"):
        Labels(attribute_table({"kind": [None, None]}, np.arange(2)), ["kind"])
