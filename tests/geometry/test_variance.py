"""Blocked argmin: the same answer whatever the block, and ties that rounding does not decide."""

import numpy as np
import pytest

from spaceform.geometry import variance
from spaceform.geometry.variance import blocks, least_variance, tie_tolerance


@pytest.mark.parametrize("block", [1, 3, 7, 100, None])
@pytest.mark.parametrize("row_budget", [8, 10**6])
def test_blocks_do_not_change_the_answer(block, row_budget, monkeypatch):
    monkeypatch.setattr(variance, "VARIANCE_BYTES", row_budget)
    rng = np.random.default_rng(0)
    weights, squares = rng.uniform(size=(11, 4)), rng.integers(0, 5, (4, 30)).astype(float)
    S = weights @ squares
    found, value = least_variance(weights, lambda c: squares[:, c], 30, tolerance=1e-9, block=block)
    np.testing.assert_array_equal(found, S.argmin(axis=1))
    np.testing.assert_allclose(value, S.min(axis=1))


@pytest.mark.parametrize("block", [1, 2, None])
def test_rounding_does_not_break_ties(block):
    squares = np.array([[1.0, 1.0 - 1e-13, 2.0]])
    found, _ = least_variance(np.ones((1, 1)), lambda c: squares[:, c], 3, tolerance=1e-9, block=block)
    assert found == 0


def test_tolerance_follows_precision():
    assert tie_tolerance(np.float32) > tie_tolerance(np.float64)


def test_blocks_cover_everything_once():
    assert [(s.start, s.stop) for s in blocks(7, 2, 48)] == [(0, 3), (3, 6), (6, 7)]
    assert len(list(blocks(3, 10**9, 1))) == 3
