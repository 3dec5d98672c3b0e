"""Rotations that are drawn evenly."""

import numpy as np
import pytest

from spaceform.errors import InputError
from spaceform.ops.linear.rotations import random_rotation


def test_they_are_orthonormal_and_come_from_their_seed():
    Q = random_rotation(6, 3)
    np.testing.assert_allclose(Q @ Q.T, np.eye(6), atol=1e-12)
    np.testing.assert_array_equal(Q, random_rotation(6, 3))


def test_they_are_even():
    """Over all rotations traces have mean 0 and variance 1, for k > 1; without the signs fixed their mean is not 0."""
    generator = np.random.default_rng(0)
    traces = np.array([np.trace(random_rotation(3, generator)) for _ in range(3000)])
    assert abs(traces.mean()) < 0.08
    assert abs(traces.var() - 1) < 0.12


def test_no_dimension_is_refused():
    with pytest.raises(InputError, match="k"):
        random_rotation(0)
