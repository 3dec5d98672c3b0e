"""The search for the end of a run, on runs that are known."""

from math import log2

from hypothesis import given
from hypothesis import strategies as st

from spaceform.ops.capacity.searching import last_true


@given(truth=st.integers(3, 400), first=st.integers(3, 60))
def test_the_end_of_a_run_is_found_in_few_looks(truth, first):
    asked = []

    def holds(n):
        asked.append(n)
        return n <= truth

    assert last_true(holds, first=first, least=3) == truth
    assert min(asked) >= 3
    assert len(asked) <= 2 * log2(abs(truth - first) + 2) + 4


@given(st.integers(3, 100))
def test_no_run_is_one_below_the_least(first):
    assert last_true(lambda _: False, first=first, least=3) == 2


@given(most=st.integers(3, 500), first=st.integers(3, 200))
def test_a_run_without_end_ends_at_the_most(most, first):
    asked = []
    assert last_true(lambda n: asked.append(n) or True, first=first, least=3, most=most) == max(first, most)
    assert max(asked) <= max(first, most)
