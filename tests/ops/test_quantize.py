"""Bytes: the bound of the error, exact integers, scales, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from spaceform.errors import InputError
from spaceform.ops.quantize import ByteEmbedding, code_distances, from_bytes, to_bytes


def unit_rows(seed, n, d=128):
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(seed=st.integers(0, 10**6), d=st.sampled_from([2, 16, 128]))
@settings(deadline=None, max_examples=40)
def test_unit_vectors_move_by_no_more_than_the_bound(seed, d):
    rows = unit_rows(seed, 20, d)
    back = from_bytes(to_bytes(rows))
    assert np.linalg.norm(rows - back, axis=1).max() <= np.sqrt(d) / 254 + 1e-6
    before = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    after = np.linalg.norm(back[:, None] - back[None], axis=2)
    assert np.abs(before - after).max() <= np.sqrt(d) / 127 + 1e-6


def test_at_128_dimensions_the_figures_are_those_worked_out():
    rows = unit_rows(0, 400)
    codes = to_bytes(rows)
    assert codes.nbytes == 400 * 128
    assert np.sqrt(128) / 254 == pytest.approx(0.0446, abs=1e-4)
    change = np.abs(code_distances(codes, codes) / 127**2 - ((rows[:, None] - rows[None]) ** 2).sum(2))
    off_diagonal = change[~np.eye(400, dtype=bool)]
    assert off_diagonal.mean() == pytest.approx(0.008, abs=0.002)


@pytest.mark.parametrize("d", [3, 128, 1040, 1041, 2048])
def test_distances_of_codes_are_exact(d):
    rng = np.random.default_rng(d)
    a = rng.integers(-127, 128, size=(7, d)).astype(np.int8)
    b = rng.choice([-127, 127], size=(5, d)).astype(np.int8)
    expected = ((a[:, None].astype(np.int64) - b[None].astype(np.int64)) ** 2).sum(2)
    assert np.array_equal(code_distances(a, b), expected)


def test_the_scale_is_taken_from_the_rows_or_given():
    rows = unit_rows(1, 50, 64)
    found = ByteEmbedding(scale=None).fit(rows)
    assert found.scale_ == pytest.approx(np.abs(rows).max())
    fixed = ByteEmbedding(scale=1.0).fit(rows)
    error = [np.abs(rows - one.inverse_transform(one.transform(rows))).max() for one in (found, fixed)]
    assert error[0] < error[1] <= 0.5 / 127 + 1e-6
    assert np.abs(found.transform(3 * rows)).max() == 127
    a, b = found.transform(rows[:5]), found.transform(rows[5:9])
    decoded = ((found.inverse_transform(a)[:, None] - found.inverse_transform(b)[None]) ** 2).sum(2)
    np.testing.assert_allclose(found.squared_distance(a, b), decoded, rtol=1e-5)


def test_refusals():
    rows = unit_rows(2, 4, 8)
    with pytest.raises(InputError, match="scale"):
        to_bytes(rows, scale=0)
    with pytest.raises(InputError, match="X"):
        to_bytes(rows * np.nan)
    with pytest.raises(InputError, match="int8"):
        from_bytes(rows)
    with pytest.raises(InputError, match="others"):
        code_distances(to_bytes(rows), to_bytes(rows[:, :4]))
    with pytest.raises(InputError, match="zeros only"):
        ByteEmbedding(scale=None).fit(np.zeros((3, 2)))
    with pytest.raises(InputError, match="scale"):
        ByteEmbedding(scale=-1).fit(rows)


def expected_failures(estimator):
    return {"check_dtype_object": "a dictionary among the values raises InputError, which is a ValueError"}


@parametrize_with_checks([ByteEmbedding(), ByteEmbedding(scale=None)], expected_failed_checks=expected_failures)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)
