"""The normal form selects what the filter selects, and what it is made of is no more than it says."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from search import strategies
from spaceform.search.attributes import Schema
from spaceform.search.filter_logic import Chain
from spaceform.search.filters import Constant, F, In, IsNull, Like, Literal, Not, parse
from spaceform.search.stores.collection import Collection
from spaceform.search.stores.normal import normal, renamed

KINDS = {name: kind for name, (kind, _) in strategies.COLUMNS.items()} | {"k": list}
COLLECTION = Collection.checked("rows", 2, metric="ip", fields=KINDS, index="flat", info=None)


def as_collection(table):
    return pa.table([table[name].cast(COLLECTION.fields[name].arrow) for name in KINDS], schema=COLLECTION.arrow)


def is_normal(expr):
    match expr:
        case Chain(parts=parts):
            return all(is_normal(part) and not isinstance(part, Constant) for part in parts)
        case Not(part=part):
            return not isinstance(part, Chain | Not | Constant)
    return True


@settings(max_examples=60, deadline=None)
@given(strategies.tables(), strategies.expressions())
def test_the_same_rows(table, expr):
    table = as_collection(table)
    checked = expr.check(Schema.of(table))
    form = normal(checked, COLLECTION)
    assert is_normal(form)
    stored = COLLECTION.to_stored(table)
    np.testing.assert_array_equal(form.mask(stored), checked.mask(table))
    np.testing.assert_array_equal(normal(checked, COLLECTION, negated=True).mask(stored), Not(checked).mask(table))
    assert COLLECTION.from_stored(stored).equals(table)


@settings(max_examples=25, deadline=None)
@given(strategies.tables(), strategies.expressions())
def test_other_names(table, expr):
    names = {name: f"c{i}" for i, name in enumerate(table.column_names)}
    other = renamed(expr, names)
    np.testing.assert_array_equal(other.mask(table.rename_columns(list(names.values()))), expr.mask(table))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("i = 1", "NOT f_i IS NULL AND f_i = 1"),
        ("not i = 1", "NOT f_i IS NULL AND f_i != 1"),
        ("i < 1.5", "NOT f_i IS NULL AND f_i < 2"),
        ("not i in (1, 1.5)", "NOT f_i IS NULL AND NOT f_i IN (1)"),
        ("i in (1.5)", "FALSE"),
        ("i != 1.5", "NOT f_i IS NULL"),
        ("i < 18446744073709551615", "NOT f_i IS NULL"),
        ("i > 18446744073709551615", "FALSE"),
        ("f = 1", "NOT f_f IS NULL AND f_f = 1.0"),
        ("d >= date '1970-01-02'", "NOT f_d IS NULL AND f_d >= 1"),
        ("d > timestamp '1970-01-01 12:00'", "NOT f_d IS NULL AND f_d > 0"),
        ('not ("two words" is null or b)', "NOT f4 IS NULL AND NOT f_b IS NULL AND f_b != TRUE"),
        ("true or i = 1", "TRUE"),
        ("not (true and i = 1)", "NOT f_i IS NULL AND f_i != 1"),
    ],
)
def test_values_by_hand(where, expected):
    assert str(normal(parse(where).check(COLLECTION.schema), COLLECTION)) == expected


def test_columns_of_the_engine_are_plain_and_distinct():
    names = ["a", "A", "a b", "f_a", "f1", "select", "é", "x" * 60, "1", "日本"]
    collection = Collection.checked("c", 2, metric="ip", fields=dict.fromkeys(names, int), index="flat", info=None)
    columns = list(collection.columns.values())
    assert len(set(columns)) == len(names)
    assert all(column.isascii() and column.isidentifier() and column == column.lower() for column in columns)
    assert columns[0] == "f_a"


def test_other_names_of_single_tests():
    assert renamed(Constant(value=True), {}) == Constant(value=True)
    assert renamed(~IsNull("a") & Like("a", "x%"), {"a": "b"}) == ~IsNull("b") & Like("b", "x%")
    assert renamed(F("a").isin([1]), {"a": "b"}) == In("b", (Literal.of(1),))
