"""Sets of documents, and tables of relevance."""

from itertools import combinations

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.ops.capacity.subsets import asked_documents, check_relevance, document_sets, relevance_table


def test_all_sets_in_lexicographic_order():
    np.testing.assert_array_equal(document_sets(6, 3), list(combinations(range(6), 3)))


@pytest.mark.parametrize(("n", "k"), [(8, 2), (3000, 2), (5000, 3), (40, 15)])
def test_a_sample_has_different_ascending_sets(n, k):
    drawn = document_sets(n, k, sample=20, random_state=0)
    assert drawn.shape == (20, k)
    assert (np.diff(drawn, axis=1) > 0).all()
    assert drawn.min() >= 0
    assert drawn.max() < n
    assert len(np.unique(drawn, axis=0)) == 20
    np.testing.assert_array_equal(drawn, document_sets(n, k, sample=20, random_state=0))
    assert (drawn != document_sets(n, k, sample=20, random_state=1)).any()


@pytest.mark.parametrize(("n", "k"), [(5, 0), (5, 5), (5, 6), (1, 1), (5.0, 2), (230, 3)])
def test_sizes_that_make_no_sense_or_too_many_sets_are_refused(n, k):
    with pytest.raises(InputError):
        document_sets(n, k)


def test_a_sample_of_more_sets_than_there_are_is_refused():
    with pytest.raises(InputError, match="sample"):
        document_sets(4, 2, sample=7)


def test_table_of_relevance():
    expected = [[True, False, True], [False, True, True]]
    np.testing.assert_array_equal(relevance_table([[0, 2], [1, 2]], 3), expected)
    with pytest.raises(InputError, match="numbers from 0 to 2"):
        relevance_table([[0, 3]], 3)


@pytest.mark.parametrize(
    ("table", "part"),
    [
        (np.zeros((2, 3)), "no document relevant to query 0"),
        ([[1, 0], [1, 1]], "every document relevant to query 1"),
        ([[2, 0]], "entries 0 and 1"),
        (np.ones(3), "queries, documents"),
        ([["a", "b"]], "entries 0 and 1"),
    ],
)
def test_tables_that_ask_nothing_are_refused(table, part):
    with pytest.raises(InputError, match=part):
        check_relevance(table)


def test_documents_that_nobody_wants_become_one():
    table = relevance_table([[0, 4], [4, 5]], 7)
    np.testing.assert_array_equal(asked_documents(table), relevance_table([[0, 1], [1, 2]], 4))
    whole = relevance_table([[0, 1], [1, 2]], 3)
    np.testing.assert_array_equal(asked_documents(whole), whole)


def test_a_table_of_counts_becomes_bool():
    assert check_relevance([[1.0, 0.0]]).dtype == np.bool_
