"""Hubs, dimension, anisotropy and near-duplicates against slow loops and clouds whose figures are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ortho_group, skew

from spaceform.errors import InputError
from spaceform.metrics.neighborhood import (
    anisotropy,
    hubness,
    k_occurrences,
    levina_bickel_dimension,
    near_duplicates,
    neighbor_distances,
    two_nn_dimension,
)
from spaceform.ops.neighbors import nearest_neighbors


def neighbors_of(X, k=5):
    return nearest_neighbors(np.asarray(X, dtype=np.float64), k=k)


@settings(max_examples=40, deadline=None)
@given(arrays(np.int64, st.tuples(st.integers(2, 20), st.integers(1, 5)), elements=st.integers(0, 1)))
def test_hubness_by_its_definition(lists):
    n = len(lists)
    counts = [int((lists == row).sum()) for row in range(n)]
    assert k_occurrences(lists).tolist() == counts
    found = hubness(lists)
    mean = np.mean(counts)
    assert found.skewness == pytest.approx(skew(counts) if np.std(counts) > 0 else 0, abs=1e-12)
    assert found.robin_hood == pytest.approx(0.5 * sum(abs(c - mean) for c in counts) / sum(counts))
    assert found.antihubs == sum(c == 0 for c in counts) / n
    assert found.largest == max(counts)
    assert counts[found.hubs[0]] == max(counts)


def test_even_neighbours_have_no_hubs():
    ring = np.stack([(np.arange(10) + 1) % 10, (np.arange(10) - 1) % 10], axis=1)
    found = hubness(ring)
    assert (found.skewness, found.robin_hood, found.antihubs, found.largest) == (0, 0, 0, 2)


def test_high_dimension_makes_hubs():
    rng = np.random.default_rng(0)
    low, high = (hubness(neighbors_of(rng.normal(size=(600, d)), 10)[1]) for d in (2, 200))
    assert high.skewness > 3 > 1 > low.skewness
    assert high.antihubs > low.antihubs
    assert high.top_share > low.top_share
    assert set(high.to_dict()) >= {"k", "skewness", "hubs"}


def test_lists_over_a_larger_reference_count_all_its_rows():
    assert hubness(np.array([[0], [1]]), 4).antihubs == 0.5


@pytest.mark.parametrize("d", [1, 2, 5])
def test_dimension_of_a_flat_sheet_in_a_large_space(d):
    rng = np.random.default_rng(d)
    X = rng.random((2000, d)) @ ortho_group.rvs(20, random_state=0)[:d]
    distances, _ = neighbors_of(X, 10)
    assert two_nn_dimension(distances) == pytest.approx(d, rel=0.15)
    assert levina_bickel_dimension(distances) == pytest.approx(d, rel=0.15)


def test_two_nn_is_the_slope_of_the_line_through_the_origin():
    """Exact on ratios that follow the law ``F(mu) = 1 - mu^-d`` at the levels i / n."""
    n, d = 50, 3.0
    level = np.arange(1, n + 1) / n
    ratios = (1 - np.minimum(level, 0.999)) ** (-1 / d)
    distances = np.stack([np.ones(n), ratios], axis=1)
    assert two_nn_dimension(distances[np.random.default_rng(0).permutation(n)]) == pytest.approx(d)


def test_levina_bickel_by_loop():
    distances, _ = neighbors_of(np.random.default_rng(0).normal(size=(50, 3)), 6)
    inverse = [np.mean([np.log(row[-1] / row[j]) for j in range(5)]) for row in distances]
    assert levina_bickel_dimension(distances) == pytest.approx(1 / np.mean(inverse))


def test_duplicates_do_not_spoil_the_dimension():
    X = np.random.default_rng(0).normal(size=(500, 2))
    distances, _ = neighbors_of(np.vstack([X, X[:20]]), 5)
    assert two_nn_dimension(distances) == pytest.approx(2, rel=0.25)
    assert levina_bickel_dimension(distances) == pytest.approx(2, rel=0.25)


def test_anisotropy_by_loop():
    X = np.random.default_rng(0).normal(size=(12, 4)) + 1
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for i, a in enumerate(X) for b in X[:i]]
    singular = np.linalg.svd(X - X.mean(0), compute_uv=False)
    shares = singular / singular.sum()
    spectrum = np.linalg.eigvalsh(np.cov(X.T))
    found = anisotropy(X)
    assert found.mean_cosine == pytest.approx(np.mean(cosines))
    assert found.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert found.participation_ratio == pytest.approx(spectrum.sum() ** 2 / (spectrum**2).sum())
    assert found.top_share == pytest.approx(spectrum.max() / spectrum.sum())
    assert set(found.to_dict()) == {"mean_cosine", "effective_rank", "participation_ratio", "top_share"}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 12), st.integers(2, 20))
def test_ranks_are_between_1_and_the_number_of_columns(seed, n, d):
    found = anisotropy(np.random.default_rng(seed).normal(size=(n, d)))
    assert 1 - 1e-9 <= found.participation_ratio <= min(n - 1, d) + 1e-9
    assert 1 - 1e-9 <= found.effective_rank <= min(n - 1, d) + 1e-9
    assert -1 <= found.mean_cosine <= 1


def test_a_cone_is_anisotropic_and_a_line_has_rank_one():
    rng = np.random.default_rng(0)
    assert anisotropy(rng.normal(size=(100, 8)) + 50).mean_cosine > 0.99
    line = np.outer(np.arange(1.0, 20), np.ones(5))
    assert anisotropy(line).effective_rank == pytest.approx(1, abs=1e-6)


def duplicates_of(X, k=5, **options):
    lists = neighbors_of(X, k)[1]
    return near_duplicates(lists, neighbor_distances(X, lists), **options)


def test_near_duplicates_are_found_and_ranked():
    X = np.random.default_rng(0).normal(size=(100, 8))
    X = np.vstack([X, X[3], X[7] + 1e-6])
    heads, tails, distances, scale = duplicates_of(X)
    assert list(zip(heads, tails, strict=True)) == [(3, 100), (7, 101)]
    assert distances[0] == 0
    assert distances[1] == pytest.approx(1e-6 * np.sqrt(8))
    assert scale > 1
    assert len(duplicates_of(X, ratio=2.0)[0]) > 2


def test_near_duplicates_in_a_narrow_cone_are_judged_by_its_width():
    X = 1000 + np.random.default_rng(0).normal(size=(100, 8))
    X = np.vstack([X, X[3] + 1e-3]).astype(np.float32)
    heads, tails, *_ = duplicates_of(X)
    assert list(zip(heads, tails, strict=True)) == [(3, 100)]


def test_near_duplicates_among_nothing_but_copies():
    heads, _, distances, scale = duplicates_of(np.ones((6, 3)), 3)
    assert scale == 0
    assert len(heads) > 0
    assert not distances.any()


def test_lists_of_some_rows_only():
    X = np.random.default_rng(0).normal(size=(50, 8))
    X[40] = X[2]
    rows = np.array([40, 7])
    lists = neighbors_of(X)[1][rows]
    distances = neighbor_distances(X, lists, rows)
    np.testing.assert_allclose(distances, np.linalg.norm(X[lists] - X[rows][:, None], axis=2))
    heads, tails, *_ = near_duplicates(lists, distances, rows=rows)
    assert (heads.tolist(), tails.tolist()) == ([2], [40])


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: hubness([[0.5]]), "row numbers"),
        (lambda: hubness(np.zeros((0, 2), int)), "row numbers"),
        (lambda: hubness([[-1]]), "row numbers"),
        (lambda: k_occurrences([[5]], 3), ">= 6"),
        (lambda: two_nn_dimension([[1.0, 2.0]] * 9), "10 or more"),
        (lambda: two_nn_dimension([[1.0, 1.0]] * 20), "ratios that differ"),
        (lambda: two_nn_dimension([[2.0, 1.0]] * 20), "ascending"),
        (lambda: two_nn_dimension([[0.0, 1.0]] * 20), "10 or more"),
        (lambda: levina_bickel_dimension([[1.0, 2.0]]), "3 neighbours"),
        (lambda: levina_bickel_dimension([[0.0, 1.0, 2.0]]), "a row without"),
        (lambda: levina_bickel_dimension([[1.0, 1.0, 1.0]]), "distances that differ"),
        (lambda: anisotropy(np.ones((4, 3))), "all equal"),
        (lambda: anisotropy([[0.0, 0.0], [1.0, 0.0]]), "zero vector"),
        (lambda: neighbor_distances(np.ones((2, 2)), [[1], [2]]), "2 rows"),
        (lambda: neighbor_distances(np.ones((2, 2)), [[1], [0]], [0]), "2 rows"),
        (lambda: neighbor_distances(np.ones((2, 2)), [[1]], [-1]), "2 rows"),
        (lambda: near_duplicates([[1], [0]], [[0.0]]), "as neighbors"),
    ],
)
def test_bad_input_is_refused(call, part):
    with pytest.raises(InputError, match=part):
        call()
