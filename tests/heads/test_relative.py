"""Relative coordinates: hand values, invariances, gradients, and the same from arrays and tensors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from spaceform.errors import InputError
from spaceform.heads.relative import CLOSENESS, RelativeLayer, meaning, relative_projection


def rows(seed=0, n=12, m=7, d=5, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)).astype(dtype), rng.normal(size=(m, d)).astype(dtype)


def turn(rng, d):
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


def test_the_hand_value():
    found = relative_projection(np.array([[3.0, 4.0]]), np.eye(2))
    np.testing.assert_allclose(found, [[0.6, 0.8]], atol=1e-15)


def test_each_closeness_is_what_its_name_says():
    X, A = rows()
    cosines = 1 - cdist(X, A, "cosine")
    expected = {
        "cosine": cosines,
        "angular": 1 - np.arccos(cosines) / np.pi,
        "euclidean": -cdist(X, A),
        "l1": -cdist(X, A, "cityblock"),
        "inner": X @ A.T / np.sqrt(5),
        "basis": np.linalg.lstsq(A.T, X.T, rcond=None)[0].T,
    }
    assert set(expected) == set(CLOSENESS)
    for name, values in expected.items():
        np.testing.assert_allclose(relative_projection(X, A, closeness=name), values, atol=1e-9, err_msg=name)
        tensors = relative_projection(torch.from_numpy(X), torch.from_numpy(A), closeness=name)
        np.testing.assert_allclose(tensors.numpy(), values, atol=1e-9, err_msg=name)


@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100))
@settings(max_examples=25, deadline=None)
def test_cosines_survive_rotation_and_scale_but_not_shifts(seed, scale):
    X, A = rows(seed, dtype=np.float32)
    rng = np.random.default_rng(seed)
    Q = (scale * turn(rng, 5)).astype(np.float32)
    for name in ("cosine", "angular"):
        before = relative_projection(X, A, closeness=name)
        tolerance = 2e-6 if name == "cosine" else 1e-3  # the arc cosine is steep at 1
        np.testing.assert_allclose(relative_projection(X @ Q, A @ Q, closeness=name), before, atol=tolerance)
    shifted = relative_projection(X + 3, A + 3)
    assert np.abs(shifted - relative_projection(X, A)).max() > 0.01


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_distances_survive_rotation_and_shift_and_a_basis_any_linear_map(seed):
    X, A = rows(seed)
    rng = np.random.default_rng(seed)
    Q, shift = turn(rng, 5), rng.normal(size=5)
    for name, moved in (("euclidean", X @ Q + shift), ("l1", X + shift)):
        anchors = A @ Q + shift if name == "euclidean" else A + shift
        before = relative_projection(X, A, closeness=name)
        np.testing.assert_allclose(relative_projection(moved, anchors, closeness=name), before, atol=1e-6)
    M = Q @ np.diag(rng.uniform(0.2, 5, 5)) @ turn(rng, 5)
    before = relative_projection(X, A, closeness="basis")
    np.testing.assert_allclose(relative_projection(X @ M, A @ M, closeness="basis"), before, atol=1e-7)


def test_permuting_anchors_permutes_columns():
    X, A = rows()
    order = np.random.default_rng(1).permutation(len(A))
    for name in CLOSENESS:
        found = relative_projection(X, A[order], closeness=name)
        np.testing.assert_allclose(found, relative_projection(X, A, closeness=name)[:, order], atol=1e-9)


def test_a_zero_row_has_zero_cosines_and_rounding_never_leaves_the_range():
    A = np.full((1, 3), 0.1, dtype=np.float32)
    np.testing.assert_array_equal(relative_projection(np.zeros((1, 3), np.float32), A), [[0]])
    many = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    cosines = np.diag(relative_projection(many, many))
    assert cosines.max() <= 1
    assert np.isfinite(relative_projection(many, many, closeness="angular")).all()


@pytest.mark.parametrize("name", CLOSENESS)
def test_gradients_are_right_and_finite_at_the_anchors_themselves(name):
    X, A = (torch.from_numpy(part) for part in rows(n=3, m=6, d=4))
    assert torch.autograd.gradcheck(lambda x: relative_projection(x, A, closeness=name), X.requires_grad_())
    own = A.float().clone().requires_grad_()
    relative_projection(own, A.float(), closeness=name).sum().backward()
    assert torch.isfinite(own.grad).all()


def test_half_precision_is_computed_in_float32():
    X, A = (torch.from_numpy(part) for part in rows(d=64))
    found = relative_projection(X.half(), A.half())
    assert found.dtype == torch.float32
    expected = relative_projection(X.half().double(), A.half().double())
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)
    assert relative_projection(X.half().numpy(), A.half().numpy()).dtype == np.float32


def test_the_quantised_layer_rounds_and_has_the_gradient_of_the_unrounded():
    X, A = (torch.from_numpy(part) for part in rows())
    x, z = X.clone().requires_grad_(), X.clone().requires_grad_()
    rounded, plain = RelativeLayer(bin_width=0.25)(x, A), RelativeLayer()(z, A)
    torch.testing.assert_close(rounded, (plain / 0.25).round() * 0.25)
    rounded.square().sum().backward()
    (plain * 2 * rounded.detach()).sum().backward()
    torch.testing.assert_close(x.grad, z.grad)


def test_subspaces_are_projections_of_groups_of_columns():
    X, A = (torch.from_numpy(part) for part in rows(d=6))
    parts = [relative_projection(X[:, :3], A[:, :3]), relative_projection(X[:, 3:], A[:, 3:])]
    expected = {
        "concat": torch.cat(parts, 1),
        "sum": parts[0] + parts[1],
        "mean": (parts[0] + parts[1]) / 2,
        "max": torch.maximum(*parts),
    }
    for reduce, values in expected.items():
        layer = RelativeLayer(subspaces=2, reduce=reduce)
        torch.testing.assert_close(layer(X, A), values)
        assert layer(X, A).shape[1] == 7 * layer.copies
    with pytest.raises(InputError, match="subspaces"):
        RelativeLayer(subspaces=4)(X, A)


def test_meaning_tells_order_number_and_kind_apart():
    same = meaning("cosine", np.arange(3))
    assert same == meaning("cosine", np.arange(3))
    assert (
        len({same, meaning("cosine", np.arange(3)[::-1]), meaning("inner", np.arange(3)), meaning("cosine", [0])}) == 4
    )


@pytest.mark.parametrize("bad", [np.ones((2, 4)), np.ones((0, 5)), np.ones(5)])
def test_anchors_of_another_shape_are_refused(bad):
    with pytest.raises(InputError, match="anchors"):
        relative_projection(np.ones((3, 5)), bad)


@pytest.mark.parametrize("options", [{"closeness": "cos"}, {"bin_width": 0}, {"subspaces": 0}, {"reduce": "min"}])
def test_bad_options_are_refused(options):
    with pytest.raises(InputError):
        RelativeLayer(**options)
