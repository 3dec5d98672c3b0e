"""Attribute indexes say of every row what the filter itself says of it; bitmaps are sets."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search import strategies
from spaceform.search.attributes import Schema
from spaceform.search.filtered.postings import AttributeIndex
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.asking import cell_counts
from spaceform.search.filtered.scan.marking import count
from spaceform.search.filters import parse


@settings(max_examples=150, deadline=None)
@given(table=strategies.tables(), expr=strategies.expressions())
def test_truth_equals_that_of_the_filter(table, expr):
    checked = expr.check(Schema.of(table))
    truth = AttributeIndex(table).truth(checked)
    expected = checked.truth(table).to_pylist()
    assert bitmaps.unpack(truth.yes, len(table)).tolist() == [answer is True for answer in expected]
    assert bitmaps.unpack(truth.no, len(table)).tolist() == [answer is False for answer in expected]


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
