"""Frechet means of a matrix of distances: squared, over all candidates, the lowest of ties, in any precision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.geometry import MatrixMetric, TreeMetric
from spaceform.ops.frechet import frechet_mean, frechet_mean_set, label_means

PATH = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))


def test_distances_are_squared():
    squares, P = PATH[[0, 3]] ** 2, np.array([[0.6, 0.4]])
    np.testing.assert_allclose(P @ squares, [[3.6, 2.2, 2.8, 5.4]])
    found, variance = frechet_mean(P, squares, return_variance=True)
    assert found.tolist() == [1]
    assert variance == pytest.approx([2.2])
    # the median, which forgets to square, always answers with an end
    assert (P @ PATH[[0, 3]]).argmin() == 0


@given(seed=st.integers(0, 10_000), n=st.integers(1, 9), k=st.integers(1, 6), labels=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_equals_a_slow_loop(seed, n, k, labels):
    rng = np.random.default_rng(seed)
    W, squares = rng.uniform(size=(n, k)) + 1e-3, rng.uniform(size=(k, labels))
    S = np.array([[sum(W[i, j] * squares[j, y] for j in range(k)) for y in range(labels)] for i in range(n)])
    found, variance = frechet_mean(W, squares, return_variance=True)
    np.testing.assert_array_equal(found, S.argmin(axis=1))
    np.testing.assert_allclose(variance, S.min(axis=1))
    np.testing.assert_array_equal(frechet_mean(13 * W, squares), found)  # any positive scale of a row
    chosen = rng.permutation(labels)[: 1 + labels // 2]
    restricted = frechet_mean(W, squares, candidates=chosen)
    np.testing.assert_array_equal(restricted, np.sort(chosen)[S[:, np.sort(chosen)].argmin(axis=1)])


def test_columns_may_be_permuted_together_with_the_observed_labels():
    rng = np.random.default_rng(0)
    tree = TreeMetric([-1] + [int(rng.integers(0, i)) for i in range(1, 30)])
    observed, P = rng.permutation(30)[:6], rng.dirichlet(np.ones(6), size=20)
    order = rng.permutation(6)
    expected = label_means(P, tree, observed)[0]
    np.testing.assert_array_equal(label_means(P[:, order], tree, observed[order])[0], expected)
    assert (label_means(P[:, order], tree, observed)[0] != expected).any()


def test_one_hot_weights_give_the_observed_label_itself():
    observed = np.array([3, 0, 2])
    found, variance = label_means(np.eye(3), MatrixMetric(PATH), observed)
    np.testing.assert_array_equal(found, observed)
    np.testing.assert_array_equal(variance, 0)


def test_discrete_metric_is_argmax():
    P = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    discrete = MatrixMetric(1 - np.eye(9))
    np.testing.assert_array_equal(label_means(P, discrete, [7, 2, 5, 0])[0], np.array([7, 2, 5, 0])[P.argmax(axis=1)])


def test_uniform_weights_give_one_constant_label():
    assert label_means(np.ones((5, 2)), MatrixMetric(PATH), [0, 3])[0].tolist() == [1] * 5


def test_the_set_holds_every_tie():
    squares = PATH[[0, 3]] ** 2
    mask = frechet_mean_set(np.array([[0.5, 0.5], [0.6, 0.4], [5.0, 5.0]]), squares)
    assert mask.tolist() == [[False, True, True, False], [False, True, False, False], [False, True, True, False]]
    assert frechet_mean_set(np.array([[0.6, 0.4]]), squares, tolerance=0.1).sum() == 2


def test_single_precision_stays_and_its_ties_go_to_the_lowest():
    squares = (PATH[[0, 3]] ** 2).astype(np.float32)
    W = np.array([[0.1, 0.1], [0.3, 0.1 + 0.2]], dtype=np.float32) * np.float32(1.1)
    assert frechet_mean(W, squares, return_variance=True)[0].tolist() == [1, 1]
    assert frechet_mean(np.array([[0.1 + 0.2, 0.3]]), squares).tolist() == [1]


def test_integer_tables_do_not_overflow():
    hops = np.abs(np.subtract.outer(np.arange(200), np.arange(200)))[[0, 199]]
    assert frechet_mean([[1, 1]], (hops**2).astype(np.int32)).tolist() == [99]


@pytest.mark.parametrize(
    ("weights", "squares", "message"),
    [
        ([[1.0, -0.1]], PATH[:2], "weights: got a negative value .first in row 0."),
        ([[1.0, np.nan]], PATH[:2], "NaN"),
        ([[1.0, 1.0], [0.0, 0.0]], PATH[:2], "only zeros in row 1"),
        ([[1.0]], PATH[:2], "2 columns"),
        ([1.0, 1.0], PATH[:2], "shape"),
        ([[1.0, 1.0]], -PATH[:2], "negative"),
        ([[1.0, 1.0]], np.full((2, 3), np.inf), "infinity"),
    ],
)
def test_bad_input_is_refused(weights, squares, message):
    with pytest.raises(InputError, match=message):
        frechet_mean(weights, squares)
    with pytest.raises(InputError, match=message):
        frechet_mean_set(weights, squares)


@pytest.mark.parametrize("candidates", [[], [4], [-1], [0.5], [[0, 1]]])
def test_bad_candidates_are_refused(candidates):
    with pytest.raises(InputError, match="candidates"):
        frechet_mean([[1.0, 1.0]], PATH[:2], candidates=candidates)


@pytest.mark.parametrize(
    ("observed", "message"), [([0, 0], "more than once"), ([0, 9], "ids from 0 to 3"), ([], "at least one id")]
)
def test_bad_observed_labels_are_refused(observed, message):
    with pytest.raises(InputError, match=message):
        label_means([[1.0, 1.0]], MatrixMetric(PATH), np.array(observed, dtype=int))


def test_no_rows_give_no_answers():
    assert frechet_mean(np.zeros((0, 2)), PATH[:2]).shape == (0,)
    assert label_means(np.zeros((0, 2)), TreeMetric([-1, 0]), [0, 1])[0].shape == (0,)
