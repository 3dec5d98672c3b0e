"""Bounds on the dimension against the values printed in the paper, closed forms and known sign ranks."""

from math import ceil, comb, inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import hadamard

from spaceform.errors import InputError
from spaceform.ops.capacity.bounds import (
    largest_margin,
    log_binomial,
    margin_critical_n,
    margin_dimension_bound,
    max_subsets,
    published_critical_n,
    sign_rank_bounds,
)
from spaceform.ops.capacity.subsets import document_sets, relevance_table

PRINTED = {
    2: [4, 6, 8, 10, 12, 14, 16, 17, 19, 21],
    10: [13, 23, 33, 42, 52, 61, 71, 81, 90, 100],
}


@pytest.mark.parametrize("k", [2, 10])
def test_the_table_of_the_paper(k):
    assert [ceil(margin_dimension_bound(10**e, k, 0.1)) for e in range(2, 12)] == PRINTED[k]


@given(st.integers(2, 300), st.data())
def test_log_of_the_binomial(n, data):
    k = data.draw(st.integers(1, n - 1))
    assert log_binomial(n, k) == pytest.approx(log(comb(n, k)), rel=1e-12, abs=1e-12)


def test_log_of_a_huge_binomial_is_finite():
    assert log_binomial(10**6, 500_000) == pytest.approx(10**6 * log(2), rel=1e-4)


@given(st.integers(1, 60), st.floats(0.01, 1))
def test_bound_and_most_sets_are_inverse(d, gamma):
    assert log(max_subsets(d, gamma)) == pytest.approx(d * np.log1p(1 / gamma))
    gap = largest_margin(4950, d)
    assert gap <= 1
    if gap < 1:
        assert margin_dimension_bound(100, 2, gap) == pytest.approx(d)


@given(d=st.integers(1, 30), k=st.integers(1, 6), gamma=st.floats(0.02, 1))
def test_the_most_documents_are_those_that_the_bound_allows(d, k, gamma):
    n = margin_critical_n(d, k, gamma)
    assert n >= k
    assert n == k or margin_dimension_bound(n, k, gamma) <= d + 1e-9
    assert margin_dimension_bound(n + 1, k, gamma) > d - 1e-9
    assert margin_critical_n(d + 1, k, gamma) >= n


def test_most_documents_by_hand():
    assert margin_critical_n(1, 2, 0.1) == 5  # C(5, 2) = 10 <= 11 < C(6, 2)
    assert margin_critical_n(1, 2, 1) == 2  # C(2, 2) = 1 <= 2 < C(3, 2)


def test_extremes():
    assert max_subsets(10**6, 0.1) == inf
    assert largest_margin(1, 5) == 1.0
    assert largest_margin(comb(5000, 2500), 1) == 0.0


@pytest.mark.parametrize(
    ("n", "k", "gamma"), [(5, 0, 0.1), (5, 5, 0.1), (5, 2, 0), (5, 2, 1.1), (5, 2, -1), (5, 2, np.nan)]
)
def test_bad_input_is_refused(n, k, gamma):
    with pytest.raises(InputError):
        margin_dimension_bound(n, k, gamma)


def test_published_fit():
    assert published_critical_n(4096) == pytest.approx(250e6, rel=0.03)
    assert published_critical_n(512) == pytest.approx(500e3, rel=0.05)
    with pytest.raises(InputError):
        published_critical_n(2)


def test_pairs_of_any_number_of_documents_need_at_most_four_dimensions():
    for n in (5, 12, 46):
        found = sign_rank_bounds(relevance_table(document_sets(n, 2), n))
        assert found.upper == 4
    assert sign_rank_bounds(np.eye(30)).upper == 2  # points on a circle


def test_intervals_need_two_dimensions_in_any_order_of_documents():
    circle = relevance_table((np.arange(12)[:, None] + np.arange(5)) % 12, 12)
    assert sign_rank_bounds(circle).upper == 2
    shuffled = circle[:, np.random.default_rng(0).permutation(12)]
    assert sign_rank_bounds(shuffled).upper <= 11


def test_hadamard_matrices_are_hard():
    """Forster's bound is sqrt of the order there; here it is less one, and one row, which is constant, is left out."""
    found = sign_rank_bounds(hadamard(64)[1:] > 0)
    assert 6 <= found.lower <= found.upper <= 63


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(2, 12))
def test_the_lower_bound_stays_below_the_upper(seed, m, n):
    table = np.random.default_rng(seed).random((m, n)) < 0.4
    table[:, 0], table[:, 1] = True, False
    found = sign_rank_bounds(table)
    assert 1 <= found.lower <= found.upper <= max(1, min(m, n - 1))
