"""The construction returns every set of k documents in 2 k dimensions; its margin falls as n^(-2k)."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.metrics.relevance.sets import set_margins
from spaceform.ops.capacity.moment_curve import moment_curve_embedding
from spaceform.ops.capacity.subsets import document_sets, relevance_table


def margin(n, k, dtype=np.float64, sample=None):
    curve, sets = moment_curve_embedding(n, k, dtype=dtype), document_sets(n, k, sample=sample, random_state=0)
    scores = curve.queries(sets).astype(dtype) @ curve.documents.T
    return set_margins(scores, relevance_table(sets, n)).min()


@pytest.mark.parametrize(
    ("n", "k"), [(3, 1), (100, 1), (2000, 1), (3, 2), (46, 2), (100, 2), (300, 2), (4, 3), (60, 3)]
)
def test_every_set_is_returned_in_float64(n, k):
    assert margin(n, k) > 0


def test_all_triples_of_a_hundred_documents():
    """161,700 queries, in blocks: in one table their scores take 129 MB."""
    curve, sets = moment_curve_embedding(100, 3), document_sets(100, 3)
    for block in np.array_split(sets, 10):
        assert set_margins(curve.queries(block) @ curve.documents.T, relevance_table(block, 100)).min() > 0


def test_measured_margins_and_their_decay():
    sizes = [20, 46, 100, 200]
    margins = [margin(n, 2) for n in sizes]
    assert margins[1] == pytest.approx(3.0e-5, rel=0.01)
    assert np.polyfit(np.log(sizes), np.log(margins), 1)[0] == pytest.approx(-4, abs=0.3)


def test_float32_breaks_where_float64_does_not():
    assert margin(100, 2, np.float32) > 0 >= margin(300, 2, np.float32)


def test_rows_are_unit_and_a_hand_value_holds():
    curve = moment_curve_embedding(4, 1)
    np.testing.assert_allclose(curve.documents, [[1, 0], [0, 1], [-1, 0], [0, -1]], atol=1e-15)
    np.testing.assert_allclose(curve.queries([[1]]), [[0, 1]], atol=1e-15)
    wide = moment_curve_embedding(31, 4)
    np.testing.assert_allclose(np.linalg.norm(wide.documents, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(wide.queries([[3, 9, 12, 30]]), axis=1), 1)


def test_sets_of_different_sizes():
    table = np.random.default_rng(0).random((40, 25)) < 0.1
    table[:, 7] |= ~table.any(1)
    curve = moment_curve_embedding(25, int(table.sum(1).max()))
    assert set_margins(curve.queries_of(table) @ curve.documents.T, table).min() > 0
    np.testing.assert_array_equal(
        moment_curve_embedding(9, 2).queries([[5, 2]]), moment_curve_embedding(9, 2).queries([[2, 5]])
    )


@pytest.mark.parametrize(
    "sets", [[[0, 0]], [[0, 9]], [[-1, 2]], [[0, 1, 2]], [0, 1], [[0.5, 1.0]], np.empty((0, 2), int)]
)
def test_bad_sets_are_refused(sets):
    with pytest.raises(InputError, match="sets"):
        moment_curve_embedding(9, 2).queries(sets)


def test_bad_sizes_are_refused():
    for n, k in ((2, 2), (5, 0)):
        with pytest.raises(InputError):
            moment_curve_embedding(n, k)
    with pytest.raises(InputError, match="up to 2 relevant"):
        moment_curve_embedding(5, 1).queries_of([[1, 1, 0, 0, 0]])
