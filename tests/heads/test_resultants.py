"""Sums of unit rows: against a loop, in parts, by hand, and refused where they balance out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.heads.resultants import concentrations, mean_directions, resultants


def rows_and_codes(seed=0, n=40, classes=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 5)) * rng.uniform(0.01, 100, (n, 1)), rng.integers(0, classes, n)


def test_sums_are_those_of_a_loop():
    X, codes = rows_and_codes()
    sums, counts = resultants(X, codes, n_classes=5)
    for label in range(5):
        expected = sum((x / np.linalg.norm(x) for x in X[codes == label]), start=np.zeros(5))
        np.testing.assert_allclose(sums[label], expected, atol=1e-12)
        assert counts[label] == (codes == label).sum()
    assert (sums.dtype, counts.dtype) == (np.float64, np.int64)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_order_and_parts_do_not_matter(seed, cut):
    X, codes = rows_and_codes(seed)
    whole = resultants(X, codes, n_classes=4)
    order = np.random.default_rng(seed).permutation(len(X))
    parts = [resultants(X[part], codes[part], n_classes=4) for part in (order[:cut], order[cut:])]
    for total, first, second in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(first + second, total, atol=1e-12)


def test_the_length_of_a_row_has_no_weight():
    sums, counts = resultants(np.array([[1.0, 0.0], [0.0, 1000.0]]), np.array([0, 0]), n_classes=1)
    np.testing.assert_allclose(mean_directions(sums, counts), [[0.5**0.5, 0.5**0.5]])


def test_rows_without_a_code_are_left_out():
    sums, counts = resultants(np.eye(3), np.array([0, -1, 0]), n_classes=1)
    assert sums.tolist() == [[1, 0, 1]]
    assert counts.tolist() == [2]


def test_single_precision_is_summed_in_double():
    X = np.random.default_rng(0).normal(size=(100_000, 3)).astype(np.float32) + 1
    sums, _ = resultants(X, np.zeros(len(X), dtype=np.int64), n_classes=1)
    wide = X.astype(np.float64)
    np.testing.assert_allclose(sums[0], (wide / np.linalg.norm(wide, axis=1, keepdims=True)).sum(0), rtol=1e-12)


def test_concentration_is_one_for_equal_and_zero_for_opposite_directions():
    sums = np.array([[4.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(concentrations(sums, np.array([4, 2, 2])), [1, 0, 0.5**0.5])


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_balanced_directions_have_no_mean(kind):
    sums, counts = kind([[2.0, 0.0], [1e-7, 0.0]]), kind([2, 2])
    with pytest.raises(InputError, match=r"support: .*balance out \(class number 1"):
        mean_directions(sums, counts)
    np.testing.assert_allclose(np.asarray(mean_directions(sums[:1], counts[:1])), [[1, 0]])


def test_zero_rows_are_refused():
    with pytest.raises(InputError, match="zero vector"):
        resultants(np.zeros((2, 3)), np.array([0, 0]), n_classes=1)
