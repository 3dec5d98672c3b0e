"""Rows that pass are one set, whether they are listed or marked."""

import numpy as np

from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.sets import marking, plain
from spaceform.search.filtered.sets.selected import Listed, Marked, in_order


def test_a_list_becomes_bits_once():
    places = np.array([3, 64, 99], np.int32)
    for sets in (marking, plain):
        listed = Listed(places, 100, sets)
        assert listed.count == 3
        np.testing.assert_array_equal(listed.words, bitmaps.scattered(places, 100))
        assert listed.words is listed.words


def test_rows_are_sorted_where_they_are_few_and_marked_where_they_are_many():
    rows = np.random.default_rng(0).permutation(10_000).astype(np.int32)
    few, many = in_order(rows[:20], 10_000, marking), in_order(rows[:5_000], 10_000, marking)
    assert isinstance(few, Listed)
    np.testing.assert_array_equal(few.places, np.sort(rows[:20]))
    assert isinstance(many, Marked)
    assert (many.count, many.places) == (5_000, None)
    np.testing.assert_array_equal(bitmaps.positions(many.words, 10_000), np.sort(rows[:5_000]))
