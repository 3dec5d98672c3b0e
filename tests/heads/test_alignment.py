"""Maps between spaces: what a rotation undoes, what only a linear map does, and what either refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import Ridge

from spaceform.errors import InputError
from spaceform.heads.alignment import RIDGES, explained_variance, fit_linear_map, fit_rigid_map
from spaceform.metrics.agreement import procrustes_similarity


def clouds(seed=0, n=60, d=6, e=6):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * np.linspace(2, 0.5, d), rng.normal(size=(n, e))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 4), st.floats(0.01, 100))
def test_rotation_scale_and_shift_are_undone_into_as_many_or_more_dimensions(seed, more, scale):
    A = clouds(seed)[0]
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(6 + more, 6 + more)))[0][:6]
    B = scale * A @ Q + 5
    made = fit_rigid_map(A, B)
    np.testing.assert_allclose(made(A), B, atol=1e-8 * scale + 1e-9)
    assert made.scale == pytest.approx(scale)
    back = fit_rigid_map(B, A)
    np.testing.assert_allclose(back(B), A, atol=1e-8)


def test_it_is_the_solution_of_scipy():
    A, B = clouds()
    rotation, total = orthogonal_procrustes(A - A.mean(0), B - B.mean(0))
    made = fit_rigid_map(A, B)
    expected = total / np.square(A - A.mean(0)).sum() * (A - A.mean(0)) @ rotation + B.mean(0)
    np.testing.assert_allclose(made(A), expected)
    np.testing.assert_allclose(fit_rigid_map(A, B, scaled=False).matrix, rotation, atol=1e-12)


def test_explained_variance_on_fitted_rows_is_the_square_of_the_procrustes_similarity():
    A, B = clouds(3)
    made = fit_rigid_map(A, B)
    assert explained_variance(B, made(A)) == pytest.approx(procrustes_similarity(A, B) ** 2)
    assert explained_variance(B, B) == 1
    assert explained_variance(B, np.broadcast_to(B.mean(0), B.shape)) == pytest.approx(0)


def test_a_linear_map_finds_a_stretch_that_no_rotation_does():
    A = clouds()[0]
    B = A @ np.diag([9, 1, 1, 1, 1, 0.1]) + 2
    assert explained_variance(B, fit_linear_map(A, B)(A)) > 0.999999
    assert explained_variance(B, fit_rigid_map(A, B)(A)) < 0.9


def test_the_linear_map_is_a_ridge_regression_with_the_best_penalty_on_the_last_rows():
    A, B = clouds(5, n=40, e=3)
    B = B + A[:, :3]
    centred, target = A - A.mean(0), B - B.mean(0)

    def ridge(rows, penalty):
        unit = np.trace(centred[rows].T @ centred[rows]) / 6
        return Ridge(alpha=penalty * unit, fit_intercept=False).fit(centred[rows], target[rows]).coef_.T

    errors = [np.square(centred[30:] @ ridge(slice(0, 30), p) - target[30:]).sum() for p in RIDGES]
    best = ridge(slice(None), RIDGES[int(np.argmin(errors))])
    np.testing.assert_allclose(fit_linear_map(A, B).matrix, best, atol=1e-10)


@pytest.mark.parametrize("fit", [fit_rigid_map, fit_linear_map])
def test_refusals(fit):
    A, B = clouds()
    broken = A.copy()
    broken[3, 1] = np.nan
    for first, second, word in ((A, B[:-1], "same items"), (broken, B, "NaN"), (A, np.ones((60, 2)), "equal rows")):
        with pytest.raises(InputError, match=word):
            fit(first, second)
    with pytest.raises(InputError, match="columns"):
        fit(A, B)(A[:, :3])
    with pytest.raises(InputError, match="equal rows"):
        explained_variance(np.ones((4, 2)), A[:4, :2])
    with pytest.raises(InputError, match="held_out"):
        fit_linear_map(A, B, held_out=1.0)
