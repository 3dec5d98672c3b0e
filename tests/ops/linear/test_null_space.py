"""The projector on what a head does not look at."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.ops.linear.null_space import null_space_projector


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(6, 12), st.floats(1e-3, 1e3), st.integers(0, 10**6))
def test_it_is_the_projector_by_the_pseudo_inverse(rows, width, size, seed):
    W = size * np.random.default_rng(seed).normal(size=(rows, width))
    P = null_space_projector(W)
    np.testing.assert_allclose(P, np.eye(width) - np.linalg.pinv(W) @ W, atol=1e-9)
    assert np.abs(W @ P).max() < 1e-9 * size
    np.testing.assert_allclose(P @ P, P, atol=1e-9)
    assert round(np.trace(P)) == width - rows


def test_repeated_rows_take_one_direction_and_zeros_none():
    W = np.array([[1.0, 2, 3, 4]])
    np.testing.assert_allclose(null_space_projector(np.repeat(W, 3, 0)), null_space_projector(W), atol=1e-12)
    np.testing.assert_array_equal(null_space_projector(np.zeros((2, 3))), np.eye(3))


@pytest.mark.parametrize("W", [np.eye(3), np.ones((2, 0)), [[np.nan, 1]], np.ones(3)])
def test_bad_weights_are_refused(W):
    with pytest.raises(InputError, match="W"):
        null_space_projector(W)
