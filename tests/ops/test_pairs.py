"""Pairwise primitives against plain definitions, for arrays and tensors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from spaceform.errors import InputError
from spaceform.ops.pairs import l2_normalize, row_blocks, squared_distances

matrices = arrays(np.float64, st.tuples(st.integers(1, 8), st.just(3)), elements=st.floats(-100, 100, width=32))


@given(matrices, matrices)
def test_squared_distances_equal_scipy(A, B):
    expected = cdist(A, B, "sqeuclidean")
    np.testing.assert_allclose(squared_distances(A, B), expected, atol=1e-9)
    np.testing.assert_allclose(squared_distances(torch.tensor(A), torch.tensor(B)).numpy(), expected, atol=1e-9)


@given(matrices)
def test_never_negative(A):
    assert (squared_distances(A.astype(np.float32), A.astype(np.float32)) >= 0).all()


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_l2_normalize(make):
    unit = l2_normalize(make([[3.0, 4.0], [0.0, 2.0]]))
    np.testing.assert_allclose(np.asarray(unit), [[0.6, 0.8], [0, 1]])


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_a_zero_row_has_no_direction(make):
    with pytest.raises(InputError, match="row 1"):
        l2_normalize(make([[3.0, 4.0], [0.0, 0.0]]))


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 2000))
def test_blocks_cover_every_row_once(n, m, budget):
    rows = [i for block in row_blocks(n, m, budget=budget) for i in range(n)[block]]
    assert rows == list(range(n))
