"""Queries at the door: plain ones are read where they are, and all others are refused as rows are."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.search.filtered.rows import check_queries, check_rows


@pytest.mark.parametrize("q", [1, 3])
def test_plain_queries_are_not_copied_and_others_come_out_the_same(q):
    X = np.random.default_rng(0).normal(size=(q, 8)).astype(np.float32)
    assert check_queries(X, "cosine", width=8) is X
    frozen = X.copy()
    frozen.setflags(write=False)
    for other in (X.tolist(), X.astype(np.float64), np.asfortranarray(np.vstack([X, X])[:q]), frozen, X * 1e-11):
        found = check_queries(other, "cosine", width=8)
        np.testing.assert_array_equal(found, check_rows(other, "queries", "cosine", width=8))
        assert found.flags.carray
        assert found.dtype == np.float32
    assert check_queries(0 * X, "ip", width=8) is not None


@pytest.mark.parametrize(("value", "match"), [(np.nan, "NaN"), (np.inf, "NaN"), (2e15, "1e15"), (0.0, "direction")])
@pytest.mark.parametrize("q", [1, 3])
def test_what_is_no_query_is_refused(q, value, match):
    X = np.zeros((q, 8), np.float32)
    X[:-1] = 1
    X[-1, 3] = value
    with pytest.raises(InputError, match=match) as refusal:
        check_queries(X, "cosine", width=8)
    with pytest.raises(InputError) as expected:
        check_rows(X, "queries", "cosine", width=8)
    assert str(refusal.value) == str(expected.value)
    with pytest.raises(InputError, match="8 columns"):
        check_queries(X, "cosine", width=9)
