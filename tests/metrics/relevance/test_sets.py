"""Exact sets, margins and recall against slow loops; ties never help."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.metrics.relevance.sets import exact_sets, relevance_recall, set_margins, truncation_curve

TABLE = np.array([[1, 1, 0, 0], [0, 1, 0, 1]], dtype=bool)


def test_hand_values():
    scores = [[0.9, 0.5, 0.4, 0.1], [0.2, 0.8, 0.7, 0.6]]
    np.testing.assert_allclose(set_margins(scores, TABLE), [0.1, -0.1])
    np.testing.assert_array_equal(exact_sets(scores, TABLE), [True, False])
    assert relevance_recall(scores, TABLE, (1, 2, 3)) == {1: 0.5, 2: 0.75, 3: 1.0}


def test_constant_scores_return_nothing():
    assert not exact_sets(np.ones((2, 4)), TABLE).any()
    assert relevance_recall(np.ones((2, 4)), TABLE, (2,)) == {2: 0.0}


def test_ties_among_relevant_documents_do_no_harm():
    assert exact_sets([[1, 1, 0, 0], [0, 1, 0, 1]], TABLE).all()


def slow_recall(scores, table, k):
    shares = []
    for row, wanted in zip(scores, table, strict=True):
        order = sorted(range(len(row)), key=lambda j: (-row[j], wanted[j]))
        shares.append(sum(wanted[j] for j in order[:k]) / wanted.sum())
    return np.mean(shares)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 9))
def test_recall_and_exactness_are_those_of_a_slow_loop(seed, m, n):
    generator = np.random.default_rng(seed)
    scores, table = generator.integers(0, 4, (m, n)).astype(float), generator.random((m, n)) < 0.5
    table[:, 0], table[:, -1] = True, False
    found = relevance_recall(scores, table, range(1, n + 1))
    for k in range(1, n + 1):
        assert found[k] == pytest.approx(slow_recall(scores, table, k))
    assert found[n] == pytest.approx(1)
    exact = [slow_recall(scores[[i]], table[[i]], int(table[i].sum())) == 1 for i in range(m)]
    np.testing.assert_array_equal(exact_sets(scores, table), exact)


def test_truncation_scales_again():
    generator = np.random.default_rng(0)
    queries, documents = generator.normal(size=(5, 6)), generator.normal(size=(8, 6))
    table = np.arange(8) < np.array([2, 1, 3, 2, 1])[:, None]
    found = truncation_curve(queries, documents, table, dims=(2, 6), k=3)
    cosines = [[q[:2] @ d[:2] / np.linalg.norm(q[:2]) / np.linalg.norm(d[:2]) for d in documents] for q in queries]
    assert found[2] == pytest.approx(slow_recall(np.array(cosines), table, 3))
    assert set(found) == {2, 6}
    documents[3, :2] = 0
    with pytest.raises(InputError, match="row 3"):
        truncation_curve(queries, documents, table, dims=(2,), k=3)
    with pytest.raises(InputError, match="dims"):
        truncation_curve(queries, documents, table, dims=(7,), k=3)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="shape"):
        set_margins(np.ones((2, 3)), TABLE)
    with pytest.raises(InputError, match="NaN"):
        set_margins(np.full((2, 4), np.nan), TABLE)
    with pytest.raises(InputError, match="ks"):
        relevance_recall(np.ones((2, 4)), TABLE, (5,))
