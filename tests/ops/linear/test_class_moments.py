"""Moments of classes from a stream, and principal directions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.ops.linear.class_moments import ClassMoments, class_pca, principal_directions
from spaceform.ops.linear.null_space import null_space_projector


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.floats(-1e6, 1e6), st.integers(0, 10**6))
def test_a_stream_gives_mean_and_covariance_of_all_rows(blocks, far, seed):
    rng = np.random.default_rng(seed)
    X, y = far + rng.normal(size=(40, 3)), np.concatenate([[-1], np.arange(39) % 2])
    moments, other = ClassMoments(n_classes=2, width=3), ClassMoments(n_classes=2, width=3)
    for part in np.array_split(np.arange(30), blocks):
        moments.update(X[part], y[part])
    moments.merge(other.update(X[30:], y[30:]))
    for code in (0, 1):
        np.testing.assert_allclose(moments.means[code], X[y == code].mean(0), rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(moments.covariance(code), np.cov(X[y == code].T, bias=True), rtol=1e-5, atol=1e-7)


def test_float32_rows_with_a_far_mean_do_not_cancel():
    X = (1000 + np.random.default_rng(0).normal(size=(5000, 2))).astype(np.float32)
    moments = ClassMoments(n_classes=1, width=2)
    for block in np.array_split(X, 9):
        moments.update(block, np.zeros(len(block), dtype=int))
    np.testing.assert_allclose(moments.covariance(0), np.cov(X.astype(np.float64).T, bias=True), rtol=1e-8)


def test_directions_are_the_right_singular_vectors_inside_the_projector():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 6)) * np.arange(1, 7), np.arange(60) % 2
    P = null_space_projector(rng.normal(size=(1, 6)))
    found = class_pca(X, y, 3, P)
    for code in (0, 1):
        own = (X[y == code] - X[y == code].mean(0)) @ P
        V = np.linalg.svd(own)[2][:3].T
        np.testing.assert_allclose(np.abs((V * found[code]).sum(0)), 1, atol=1e-9)
        assert (found[code][np.abs(found[code]).argmax(0), np.arange(3)] > 0).all()


def test_directions_without_variance_still_lie_in_the_projector():
    P = null_space_projector([[1.0, 1.0, 1.0, 0.0]])
    U = principal_directions(np.zeros((4, 4)), 3, P)
    np.testing.assert_allclose(U.T @ U, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(P @ U, U, atol=1e-12)


def test_what_cannot_be_is_refused():
    X = np.eye(4)
    with pytest.raises(InputError, match="class 1"):
        class_pca(X, [0, 0, 0, 1], 2)
    with pytest.raises(InputError, match="k"):
        principal_directions(np.eye(3), 3, null_space_projector([[1.0, 0, 0]]))
    moments = ClassMoments(n_classes=2, width=4).update(X, [0, 0, 0, 0])
    with pytest.raises(InputError, match="without rows"):
        moments.covariance(1)
    with pytest.raises(InputError, match="below 2"):
        moments.update(X, [0, 1, 2, 0])
    with pytest.raises(InputError, match="other"):
        moments.merge(ClassMoments(n_classes=3, width=4))
