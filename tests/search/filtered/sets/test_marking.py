"""Sets of rows: compiled and NumPy agree with Python's sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.sets import marking, plain
from spaceform.search.filtered.sets.selected import functions

ROWS = st.lists(st.integers(0, 199), unique=True)


def as_rows(rows):
    return np.array(rows, np.int32)


@pytest.mark.parametrize("sets", [marking, plain])
@settings(max_examples=60, deadline=None)
@given(rows=ROWS, others=ROWS, low=st.integers(0, 9), high=st.integers(0, 9))
def test_rows_are_marked_counted_and_kept(sets, rows, others, low, high):
    words = sets.mark(as_rows(rows), 200)
    np.testing.assert_array_equal(words, bitmaps.scattered(as_rows(rows), 200))
    assert sets.count(words) == len(rows)
    assert sets.keep_marked(as_rows(others), words).tolist() == [row for row in others if row in rows]
    ranks = np.arange(200, dtype=np.int32) % 10
    kept = sets.keep_between(as_rows(rows), ranks, low, high)
    assert kept.tolist() == [row for row in rows if low <= row % 10 < high]


@pytest.mark.parametrize("sets", [marking, plain])
@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 300), step=st.integers(1, 40), ends=st.tuples(st.integers(0, 300), st.integers(0, 300)))
def test_a_slice_is_marked_from_the_beginnings_next_to_its_ends(sets, n, step, ends):
    rows = np.random.default_rng(n).permutation(n).astype(np.int32)
    step = min(step, n)
    beginnings = np.array([bitmaps.scattered(rows[: i * step], n) for i in range(n // step + 1)])
    first, last = sorted(min(end, n) for end in ends)
    words = sets.mark_slice(rows, first, last, step, beginnings)
    np.testing.assert_array_equal(words, bitmaps.scattered(rows[first:last], n))


def test_compiled_or_not_is_chosen_once():
    assert functions(compiled=True) is marking
    assert functions(compiled=False) is plain
