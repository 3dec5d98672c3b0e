"""One law suite, run on every geometry of vectors, in NumPy and torch, in both precisions."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spaceform.geometry import Euclidean, PoincareBall, Sphere


@dataclass(frozen=True)
class Case:
    """A geometry, how wide raw coordinates may be, and points that ``check`` has to refuse."""

    geometry: object
    spread: float
    refused: tuple


CASES = [
    Case(Euclidean(), 5.0, (np.array([[np.nan, 0.0, 0.0]]),)),
    Case(Sphere(), 5.0, (np.array([[0.5, 0.0, 0.0]]), np.array([[np.inf, 0.0, 0.0]]))),
    Case(PoincareBall(1.0), 0.5, (np.array([[1.0, 0.0, 0.0]]), np.array([[0.9, 0.9, 0.0]]))),
    Case(PoincareBall(0.1), 1.5, (np.array([[0.0, 0.0, 3.2]]), np.array([[np.nan, 0.0, 0.0]]))),
]
geometries = pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case.geometry))


def points(case, seed, count=6, dimension=3, dtype=np.float64):
    """Points of the space; the raw ones of a ball fill it up to its boundary."""
    raw = np.random.default_rng(seed).uniform(-case.spread, case.spread, (count, dimension))
    return case.geometry.project(raw.astype(dtype))


seeds = st.integers(0, 10_000)


@geometries
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_distance_is_a_metric(case, seed):
    x = points(case, seed)
    D = case.geometry.distance(x[:, None], x[None])
    np.testing.assert_allclose(D, D.T, atol=1e-12)
    np.testing.assert_allclose(np.diagonal(D), 0, atol=1e-7)
    assert (D >= 0).all()
    assert (D[:, :, None] <= D[:, None, :] + D[None, :, :].transpose(0, 2, 1) + 1e-7).all()


@geometries
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_closeness_falls_as_distance_grows(case, seed):
    x = points(case, seed)
    distance, closeness = case.geometry.distance(x[:1], x), case.geometry.closeness(x[:1], x)
    order = np.argsort(distance)
    assert (np.diff(closeness[order]) <= 1e-12).all()
    assert closeness.argmax() == 0


@geometries
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_pairwise_equals_elementwise(case, seed):
    a, b = points(case, seed), points(case, seed + 1, 4)
    g = case.geometry
    np.testing.assert_allclose(g.pairwise_distance(a, b), g.distance(a[:, None], b[None]), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(g.pairwise_closeness(a, b), g.closeness(a[:, None], b[None]), rtol=1e-6, atol=1e-7)


@geometries
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_projection_lands_inside_and_keeps_points(case, seed):
    raw = np.random.default_rng(seed).normal(0, 100, (5, 3))
    inside = case.geometry.project(raw)
    assert case.geometry.check(inside) is None
    np.testing.assert_allclose(case.geometry.project(inside), inside, rtol=1e-12)


@geometries
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_exp_inverts_log_and_log_has_the_length_of_the_distance(case, seed):
    g = case.geometry
    x, y = points(case, seed), points(case, seed + 1)
    velocity = g.log(x, y)
    np.testing.assert_allclose(g.exp(x, velocity), y, atol=2e-5)
    np.testing.assert_allclose(g.length(x, velocity), g.distance(x, y), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(g.tangent(x, velocity), velocity, atol=1e-7)


@geometries
@given(seed=seeds, share=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_geodesics_have_constant_speed(case, seed, share):
    g = case.geometry
    x, y = points(case, seed), points(case, seed + 1)
    between = g.exp(x, share * g.log(x, y))
    np.testing.assert_allclose(g.distance(x, between), share * g.distance(x, y), rtol=1e-5, atol=1e-6)


@geometries
@given(seed=seeds, weights=arrays(np.float64, 6, elements=st.floats(0.1, 1)))
@settings(max_examples=15, deadline=None)
def test_mean_minimises_the_weighted_squared_distance(case, seed, weights):
    g = case.geometry
    x = points(case, seed)
    if isinstance(g, Sphere):
        x = g.project(x + np.array([2.0, 0, 0]))  # the mean of points all over the sphere is not unique
    mean = g.mean(x, weights)
    assert g.check(mean[None]) is None

    def cost(at):
        return (weights * g.distance(at[None], x) ** 2).sum()

    for step in np.random.default_rng(seed).normal(0, 1e-3, (8, 3)):
        assert cost(mean) <= cost(g.exp(mean, g.tangent(mean, step))) + 1e-12
    shuffled = np.random.default_rng(seed).permutation(6)
    np.testing.assert_allclose(g.mean(x[shuffled], weights[shuffled]), mean, atol=1e-9)
    np.testing.assert_allclose(g.mean(x, 7 * weights), mean, atol=1e-9)
    np.testing.assert_allclose(g.mean(x[[1] * 3]), x[1], atol=1e-6)


@geometries
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_torch_and_numpy_agree_and_keep_precision(case, dtype):
    g = case.geometry
    x, y = points(case, 3, dtype=dtype) * dtype(0.5), points(case, 4, dtype=dtype) * dtype(0.5)
    x, y = g.project(x), g.project(y)
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype is np.float32 else {"rtol": 1e-12, "atol": 1e-14}
    for name in ("distance", "closeness", "pairwise_distance", "pairwise_closeness", "log"):
        ours, theirs = getattr(g, name)(x, y), getattr(g, name)(tx, ty)
        assert ours.dtype == dtype
        assert theirs.dtype == tx.dtype
        np.testing.assert_allclose(theirs.numpy(), ours, **tolerance)
        double = getattr(g, name)(x.astype(np.float64), y.astype(np.float64))
        np.testing.assert_allclose(ours, double, rtol=2e-3, atol=2e-3)
    velocity = g.log(x, y)
    np.testing.assert_allclose(g.exp(tx, torch.from_numpy(velocity)).numpy(), g.exp(x, velocity), **tolerance)
    np.testing.assert_allclose(g.project(tx * 100).numpy(), g.project(x * 100), **tolerance)
    near = g.project(x + np.array([2.0, 0, 0], dtype=dtype))
    weights = np.arange(1, 7, dtype=dtype)
    from_torch = g.mean(torch.from_numpy(near), torch.from_numpy(weights))
    np.testing.assert_allclose(from_torch.numpy(), g.mean(near, weights), rtol=1e-3, atol=1e-4)


@geometries
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_where_points_meet_and_on_the_boundary(case, dtype):
    g = case.geometry
    edge = torch.tensor([[1e4, 0.0, 0.0], [0.0, -1e4, 0.0]], dtype=dtype)
    boundary = g.project(edge) if not isinstance(g, PoincareBall) else edge / 1e4 * g.radius
    x = torch.cat([boundary, g.project(torch.tensor([[1e-15, 0, 0], [0.1, 0.2, 0.1]], dtype=dtype)), boundary])
    x.requires_grad_()
    other = x.detach().clone().requires_grad_()
    values = [
        g.distance(x, other),
        g.pairwise_distance(x, x),
        g.pairwise_closeness(x, other),
        g.length(x, g.log(x, other.flip(0))),
        g.exp(x, g.tangent(x, 0 * other)).sum(-1),
        g.project(50 * x).sum(-1),
    ]
    for value in values:
        assert torch.isfinite(value).all()
        gradients = torch.autograd.grad(value.sum(), [x, other], allow_unused=True, retain_graph=True)
        assert all(torch.isfinite(gradient).all() for gradient in gradients if gradient is not None)


@geometries
def test_gradients_are_right(case):
    g = case.geometry
    x = torch.from_numpy(g.project(points(case, 5) * 0.5)).requires_grad_()
    y = torch.from_numpy(g.project(points(case, 6) * 0.5)).requires_grad_()
    for function in (g.distance, g.closeness, g.pairwise_distance, lambda a, b: g.exp(a, g.tangent(a, 0.3 * b))):
        assert torch.autograd.gradcheck(function, (x, y))


@geometries
def test_check_accepts_its_points_and_refuses_others(case):
    g = case.geometry
    x = points(case, 7)
    assert g.check(x) is None
    assert g.check(torch.from_numpy(x)) is None
    for wrong in case.refused:
        assert g.check(wrong) is not None
        assert g.check(torch.from_numpy(wrong)) is not None
    assert "not a NumPy array" in g.check([[0.1, 0.2, 0.3]])
    assert "floating" in g.check(np.zeros((2, 3), dtype=np.int64))
    assert "no coordinates" in g.check(np.zeros((2, 0)))
    assert "no coordinates" in g.check(torch.tensor(1.0))


@geometries
def test_means_refuse_bad_weights(case):
    from spaceform.errors import InputError

    x = points(case, 8)
    for weights in (np.zeros(6), -np.ones(6), np.full(6, np.nan), np.ones(5)):
        with pytest.raises(InputError, match="weights"):
            case.geometry.mean(x, weights)
    with pytest.raises(InputError, match="points"):
        case.geometry.mean(x[:0])


@geometries
def test_geometries_compare_and_hash_as_values(case):
    assert case.geometry == type(case.geometry)(**vars(case.geometry))
    assert len({case.geometry, case.geometry}) == 1
