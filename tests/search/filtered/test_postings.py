"""Attribute indexes say of every row what the filter itself says of it; bitmaps are sets."""

import functools
import itertools
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search import strategies
from spaceform.search.attributes import Schema
from spaceform.search.filtered import postings
from spaceform.search.filtered.postings import AttributeIndex
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.asking import cell_counts
from spaceform.search.filtered.sets import selected
from spaceform.search.filtered.sets.marking import count
from spaceform.search.filters import parse


@settings(max_examples=150, deadline=None)
@given(table=strategies.tables(), expr=strategies.expressions())
def test_truth_equals_that_of_the_filter(table, expr):
    checked = expr.check(Schema.of(table))
    truth = AttributeIndex(table).truth(checked)
    expected = checked.truth(table).to_pylist()
    assert bitmaps.unpack(truth.yes, len(table)).tolist() == [answer is True for answer in expected]
    assert bitmaps.unpack(truth.no, len(table)).tolist() == [answer is False for answer in expected]


@settings(max_examples=150, deadline=None)
@given(
    table=strategies.tables(), expr=strategies.expressions(), dense=st.sampled_from([0, postings.DENSE]),
    compiled=st.booleans(),
)  # fmt: skip
def test_what_passes_is_what_the_filter_says_as_bits_and_as_lists(table, expr, dense, compiled):
    checked = expr.check(Schema.of(table))
    expected = [answer is True for answer in checked.truth(table).to_pylist()]
    with mock.patch.object(postings, "DENSE", dense), mock.patch.object(selected, "_SORTED", dense):
        found = AttributeIndex(table, compiled=compiled).select(checked)
    assert bitmaps.unpack(found.words, len(table)).tolist() == expected
    assert found.count == sum(expected)
    if found.places is not None:
        assert found.places.tolist() == np.flatnonzero(expected).tolist()


N = 20_000
TALL = np.random.default_rng(0)
COLUMNS = {
    "rare": TALL.integers(0, 2_000, N),
    "often": TALL.choice(["x", "y", "z"], N, p=[0.7, 0.25, 0.05]),
    "real": TALL.normal(size=N),
    "few": np.minimum(TALL.zipf(1.5, N), 300),
}
COLUMNS["marks"] = [[f"m{one % 3}", f"r{one % 1_000}", f"r{one % 1_000}"] for one in COLUMNS["few"] + COLUMNS["rare"]]
CONDITIONS = {
    "rare = 7": COLUMNS["rare"] == 7,
    "rare = 7.5": np.zeros(N, bool),
    "rare between 100 and 105": (COLUMNS["rare"] >= 100) & (COLUMNS["rare"] <= 105),
    "rare between 100 and 900": (COLUMNS["rare"] >= 100) & (COLUMNS["rare"] <= 900),
    "rare < 5": COLUMNS["rare"] < 5,
    "rare <= 1500": COLUMNS["rare"] <= 1_500,
    "rare > 1998": COLUMNS["rare"] > 1_998,
    "often = 'x'": COLUMNS["often"] == "x",
    "often > 'x'": COLUMNS["often"] > "x",
    "real > 0.1": COLUMNS["real"] > 0.1,
    "real >= 3": COLUMNS["real"] >= 3,
    "often = 'y' and rare < 50": (COLUMNS["often"] == "y") & (COLUMNS["rare"] < 50),
    "often = 'y' and real > 0": (COLUMNS["often"] == "y") & (COLUMNS["real"] > 0),
    "rare = 3 and often = 'x'": (COLUMNS["rare"] == 3) & (COLUMNS["often"] == "x"),
    "marks contains 'm1'": np.array(["m1" in one for one in COLUMNS["marks"]]),
    "marks contains 'r7'": np.array(["r7" in one for one in COLUMNS["marks"]]),
    "marks contains all ('r7', 'm1')": np.array(["r7" in one and "m1" in one for one in COLUMNS["marks"]]),
    "marks contains any ('r7', 'r8')": np.array(["r7" in one or "r8" in one for one in COLUMNS["marks"]]),
    "marks contains 'r7' and often = 'x'": np.array(["r7" in one for one in COLUMNS["marks"]])
    & (COLUMNS["often"] == "x"),
    "marks contains 'm1' and rare < 30": np.array(["m1" in one for one in COLUMNS["marks"]]) & (COLUMNS["rare"] < 30),
    "(rare = 3 or rare = 9) and real > 0": ((COLUMNS["rare"] == 3) | (COLUMNS["rare"] == 9)) & (COLUMNS["real"] > 0),
    "rare = 3 and not often = 'x'": (COLUMNS["rare"] == 3) & (COLUMNS["often"] != "x"),
    "rare in (4, 800) and few > 1": np.isin(COLUMNS["rare"], [4, 800]) & (COLUMNS["few"] > 1),
}


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("text", CONDITIONS)
def test_rows_that_pass_are_listed_where_they_are_few(text, compiled):
    index, mask = attributes(compiled), CONDITIONS[text]
    found = index.select(parse(text).check(index.schema))
    assert found.count == mask.sum()
    np.testing.assert_array_equal(bitmaps.unpack(found.words, N), mask)
    if found.places is None:
        return
    np.testing.assert_array_equal(found.places, np.flatnonzero(mask))
    assert found.places.dtype == np.int32
    assert found.places.flags.carray  # of one type for compiled code, whatever the filter


def test_bits_are_not_made_for_a_rare_value():
    index = attributes(True)
    for text in ("rare = 7", "marks contains 'r7'", "rare = 3 and often = 'x'", "rare < 2"):
        assert index.select(parse(text).check(index.schema)).places is not None, text
    assert index.select(parse("often = 'x'").check(index.schema)).places is None


@functools.cache
def attributes(compiled):
    """The columns, indexed."""
    return AttributeIndex(pa.table(COLUMNS), compiled=compiled)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000])
def test_counts_are_exact_at_every_size(n):
    numbers = np.random.default_rng(n).integers(0, 50, n)
    index = AttributeIndex(pa.table({"x": pa.array(numbers), "words": [[str(v), "all"] for v in numbers]}))
    for text, mask in [
        ("x = 7", numbers == 7),
        ("x >= 3", numbers >= 3),
        ("x in (1, 5, 49)", np.isin(numbers, [1, 5, 49])),
        ("not (x between 10 and 20)", (numbers < 10) | (numbers > 20)),
        ("words contains 'all'", np.ones(n, bool)),
        ("words contains 'none'", np.zeros(n, bool)),
        ("words contains all ('all', '3') or x < 0", numbers == 3),
        ("x is null", np.zeros(n, bool)),
    ]:
        words = index.passing(parse(text).check(index.schema))
        assert count(words) == mask.sum()
        np.testing.assert_array_equal(bitmaps.unpack(words, n), mask)


@pytest.mark.parametrize("text", ["x = 0", "x in (0, 5)", "x between -1 and 1", "x <= 0", "not x = 0"])
def test_both_zeros_are_one_value(text):
    table = pa.table({"x": [0.0, 1.0, -0.0, 2.0, None, float("nan")]})
    expr = parse(text).check(Schema.of(table))
    rows = bitmaps.positions(AttributeIndex(table).passing(expr), len(table))
    np.testing.assert_array_equal(rows, np.flatnonzero(expr.mask(table)))


def test_columns_without_values():
    table = pa.table({"none": pa.nulls(70), "empty": pa.array([None] * 70, pa.string()), "raw": [b"x", None] * 35})
    index = AttributeIndex(table)
    for text, expected in [("none is null", 70), ("empty is null", 70), ("empty = 'x'", 0), ("raw is null", 35)]:
        assert count(index.passing(parse(text).check(index.schema))) == expected


@settings(max_examples=60, deadline=None)
@given(mask=st.lists(st.booleans(), min_size=1, max_size=300), cuts=st.lists(st.integers(0, 300), max_size=8))
def test_bitmaps_are_sets(mask, cuts):
    n = len(mask)
    words = bitmaps.pack(np.array(mask))
    assert bitmaps.unpack(words, n).tolist() == mask
    assert count(words) == sum(mask)
    assert bitmaps.unpack(bitmaps.complement(words, n), n).tolist() == [not one for one in mask]
    assert count(bitmaps.full(n)) == n
    np.testing.assert_array_equal(bitmaps.scattered(bitmaps.positions(words, n), n), words)
    starts = np.array(sorted({0, n, *(cut for cut in cuts if cut < n)}))
    found = cell_counts(words, starts)
    assert found.tolist() == [sum(mask[a:b]) for a, b in itertools.pairwise(starts)]
