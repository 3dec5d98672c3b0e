"""Exact search gives what a slow loop gives: same rows, same ties, however the rows are cut and stored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import pairwise_distances

from spaceform.errors import InputError
from spaceform.geometry import PoincareBall
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.ops.pairs import row_blocks
from spaceform.search import exact
from spaceform.search.exact import METRICS, exact_search
from spaceform.space import Space


def slow(queries, reference, k, metric, mask=None):
    """Score every pair alone in float64 and sort; ties to the lowest row."""
    allowed = range(len(reference)) if mask is None else np.flatnonzero(mask)
    answers = []
    for a in np.asarray(queries, dtype=np.float64):
        scored = []
        for row in allowed:
            b = np.asarray(reference[row], dtype=np.float64)
            if metric == "cosine":
                value = np.clip((a * b).sum() / (np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())), -1, 1)
            elif metric == "ip":
                value = (a * b).sum()
            elif metric == "euclidean":
                value = -np.sqrt(((a - b) ** 2).sum())
            else:
                gap = 2 * ((a - b) ** 2).sum() / ((1 - (a * a).sum()) * (1 - (b * b).sum()))
                value = -np.arccosh(1 + gap)
            scored.append((-value, row))
        answers.append(sorted(scored)[:k])
    rows = np.array([[row for _, row in answer] for answer in answers], dtype=np.int64).reshape(len(queries), -1)
    return rows, np.array([[-cost for cost, _ in answer] for answer in answers]).reshape(len(queries), -1)


def draw(n, d, metric, seed=0, dtype=np.float32):
    X = np.random.default_rng(seed).normal(size=(n, d))
    if metric == "poincare":
        X *= 0.7 / np.linalg.norm(X, axis=1).max()
    return X.astype(dtype)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 7, 200])
def test_equals_the_slow_loop(metric, dtype, k):
    queries, reference = draw(5, 8, metric, 1, dtype), draw(120, 8, metric, 2, dtype)
    for mask in (None, np.arange(120) % 3 == 0, np.arange(120) == 17, np.zeros(120, bool), np.ones(120, bool)):
        found = exact_search(queries, reference, k=k, metric=metric, mask=mask)
        rows, closeness = slow(queries, reference, k, metric, mask)
        np.testing.assert_array_equal(found.rows, rows)
        np.testing.assert_allclose(found.closeness, closeness, rtol=1e-12, atol=1e-12)
        assert found.rows.shape == (5, min(k, 120 if mask is None else mask.sum()))
        assert (found.rows.dtype, found.closeness.dtype) == (np.int64, np.float64)


SMALL = st.integers(-2, 2).map(float)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    metric=st.sampled_from(["cosine", "euclidean", "ip"]),
    k=st.integers(1, 40),
    size=st.integers(1, 30),
    scale=st.sampled_from([1.0, 1e-30, 1e18, 1e30]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_ties_go_to_the_lowest_row_however_the_rows_are_cut(data, metric, k, size, scale, dtype):
    # coordinates from {-2 .. 2}: many rows are equal, and many more at exactly equal distances
    reference = data.draw(hnp.arrays(np.float64, (30, 3), elements=SMALL)) * scale
    queries = data.draw(hnp.arrays(np.float64, (4, 3), elements=SMALL)) * scale
    if metric == "cosine":
        floor = 1e-12 / scale if scale < 1 else 0
        reference[np.abs(reference).sum(1) <= floor] = scale
        queries[np.abs(queries).sum(1) <= floor] = scale
        if scale < 1e-12:
            reference, queries = reference / scale, queries / scale
    reference, queries = reference.astype(dtype), queries.astype(dtype)
    mask = data.draw(hnp.arrays(bool, 30))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "row_blocks", lambda n, m, **_: (slice(i, min(n, i + size)) for i in range(0, n, size)))
        found = exact_search(queries, reference, k=k, metric=metric, mask=mask)
    rows, closeness = slow(queries, reference, k, metric, mask)
    if metric != "cosine":  # cosines of different vectors that should be equal differ in the last digit
        np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.closeness, closeness, rtol=1e-12)
    whole = exact_search(queries, reference, k=k, metric=metric, mask=mask)
    np.testing.assert_array_equal(found.rows, whole.rows)
    np.testing.assert_array_equal(found.closeness, whole.closeness)


@pytest.mark.parametrize("metric", METRICS)
def test_copies_of_one_vector_tie_at_any_place(metric):
    reference = np.repeat(draw(7, 33, metric, 3), 300, axis=0)[np.random.default_rng(0).permutation(2100)]
    found = exact_search(reference[:3], reference, k=310, metric=metric)
    for i in range(3):
        copies = np.flatnonzero((reference == reference[i]).all(1))
        np.testing.assert_array_equal(found.rows[i, :300], copies)
        assert len(set(found.closeness[i, :300])) == 1


def test_near_duplicates_far_from_the_origin_are_told_apart():
    # in float32 the squares are about 1e8, and one rounding of them is 8; the gaps between the rows are below 1e-5
    step = np.float32(2.0**-10)
    reference = np.full((200, 16), 1000, np.float32) + step * np.arange(200, dtype=np.float32)[:, None]
    found = exact_search(reference[50:51], reference, k=5, metric="euclidean")
    assert found.rows.tolist() == [[50, 49, 51, 48, 52]]
    assert found.closeness[0].tolist() == [0, *(-4 * float(step) * i for i in (1, 1, 2, 2))]
    assert not np.signbit(found.closeness[0, 0])


@pytest.mark.parametrize("metric", METRICS)
def test_a_space_on_disk_gives_what_its_matrix_gives(metric, tmp_path, monkeypatch):
    monkeypatch.setattr("spaceform.space_payload.ROWS_PER_GROUP", 50)
    monkeypatch.setattr("spaceform.space.ROWS_PER_GROUP", 50)
    vectors = draw(333, 6, metric, 4)
    mask = np.random.default_rng(1).random(333) < 0.3
    path = Space.create(vectors).save(tmp_path / "s")
    for allowed in (None, mask, np.arange(333) == 200):
        streamed = Space.open(path)
        found = exact_search(vectors[:4], streamed, k=9, metric=metric, mask=allowed)
        expected = exact_search(vectors[:4], vectors, k=9, metric=metric, mask=allowed)
        np.testing.assert_array_equal(found.rows, expected.rows)
        np.testing.assert_array_equal(found.closeness, expected.closeness)
        assert streamed._payload.vectors is None


def test_agrees_with_the_neighbours_of_the_library_and_of_sklearn():
    X, Y = draw(50, 20, "ip", 5), draw(500, 20, "ip", 6)
    for metric in ("euclidean", "cosine"):
        found = exact_search(X, Y, k=10, metric=metric)
        distances, indices = nearest_neighbors(X, Y, k=10, metric=metric)
        np.testing.assert_array_equal(found.rows, indices)
        closeness = -found.closeness if metric == "euclidean" else 1 - found.closeness
        np.testing.assert_allclose(closeness, distances, atol=1e-4)
        order = np.argsort(pairwise_distances(X, Y, metric=metric), axis=1, kind="stable")[:, :10]
        np.testing.assert_array_equal(found.rows, order)


def test_poincare_is_the_distance_of_the_ball():
    X = draw(20, 4, "poincare", 7, np.float64)
    found = exact_search(X[:3], X, k=20, metric="poincare")
    distances = PoincareBall().pairwise_distance(X[:3], X)
    np.testing.assert_allclose(-found.closeness, np.sort(distances, axis=1), atol=1e-6)


def test_screening_leaves_few_candidates():
    # the point of the bound: exact scoring stays a small part of the work, even where cosines crowd
    X = draw(5000, 64, "ip", 8) + np.float32(3)
    for metric in ("cosine", "euclidean", "ip"):
        nothing = exact.Nearest(np.empty((10, 0), np.int64), np.empty((10, 0)))
        who, _ = exact._candidates(nothing, X[:10], X, k=10, metric=metric)
        assert 100 <= len(who) < 1000


def test_many_queries_are_taken_in_blocks():
    assert len(list(row_blocks(10_000, 20_000))) > 1
    X = draw(700, 3, "ip", 9)
    found = exact_search(X, X, k=1, metric="euclidean")
    assert found.rows[:, 0].tolist() == list(range(700))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, "k: got 0"),
        ({"k": 1.5}, "k: got 1.5"),
        ({"metric": "l2"}, "metric: got 'l2'"),
        ({"queries": np.zeros((2, 3))}, "queries"),
        ({"queries": np.zeros(2)}, "queries"),
        ({"queries": np.array([[np.nan, 1]])}, "queries"),
        ({"queries": np.zeros((1, 2))}, "queries: got norm 0 in row 0, expected rows with a direction"),
        ({"reference": np.array([[1.0, 1], [0, 0]])}, "reference: got norm 0 in row 1"),
        ({"reference": np.array([[1.0, np.inf]])}, "reference"),
        ({"reference": np.zeros((0, 2))}, "reference"),
        ({"metric": "poincare"}, "norm below 1"),
        ({"queries": np.array([[1e200, 1]]), "metric": "euclidean"}, "beyond 1e150"),
        ({"mask": np.ones(4)}, "mask: got float64"),
        ({"mask": np.ones(3, bool)}, r"mask: got bool of shape \(3,\)"),
        ({"mask": [0, 1, 2, 3]}, "mask: got int64"),
    ],
)
def test_bad_input_is_refused(changes, message):
    parts = {"queries": np.ones((1, 2)), "reference": np.ones((4, 2)), "k": 2, **changes}
    with pytest.raises(InputError, match=message):
        exact_search(parts.pop("queries"), parts.pop("reference"), **parts)


def test_a_masked_zero_row_does_no_harm():
    reference = np.array([[1.0, 1], [0, 0], [1, 0]])
    assert exact_search([[1.0, 0]], reference, k=5, mask=np.array([True, False, True])).rows.tolist() == [[2, 0]]
