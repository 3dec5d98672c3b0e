"""Losses of prototypes against hand values and slow loops; what they refuse; where their gradients go."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.losses.few_shot.prototypes import (
    prototype_alignment_loss,
    prototype_distances,
    prototype_triplet_loss,
    prototypical_loss,
)

ONES, ZEROS = torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)


def at(*distances):
    """Return one-dimensional rows at these squared distances from 0."""
    return torch.tensor(distances, dtype=torch.float64).sqrt()[:, None]


def test_the_hinge_by_hand():
    origin = torch.zeros(1, 1, dtype=torch.float64)
    far_enough = prototype_triplet_loss(origin, at(0.2, 1.0), torch.tensor([0, -1]), margin=0.5)
    too_near = prototype_triplet_loss(origin, at(0.6, 0.4), torch.tensor([0, -1]), margin=0.5)
    assert far_enough.item() == 0
    assert too_near.item() == pytest.approx(0.7)


def test_a_class_that_is_well_apart_does_not_pay_for_another():
    prototypes = torch.tensor([[0.0], [100.0]], dtype=torch.float64)
    queries = torch.tensor([[3.0], [100.0], [1.0]], dtype=torch.float64)
    targets = torch.tensor([0, 1, -1])
    first = 9 - (100.0**2 + 1) / 2 + 0.5
    assert first < 0  # of the first prototype: far from the second's query; of the second: further still
    assert prototype_triplet_loss(prototypes, queries, targets).item() == 0
    near = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    # prototype 0: own 9, others (1 + 1) / 2; prototype 1: own 0, others (4 + 0) / 2, which is satisfied
    queries = torch.tensor([[3.0], [1.0], [1.0]], dtype=torch.float64)
    assert prototype_triplet_loss(near, queries, targets, margin=0.5).item() == pytest.approx(9 - 1 + 0.5)


@given(seed=st.integers(0, 10**6), n=st.integers(4, 12), temperature=st.floats(0.5, 8))
@settings(max_examples=40, deadline=None)
def test_the_hinge_is_its_loop(seed, n, temperature):
    rng = np.random.default_rng(seed)
    P, Q = rng.normal(size=(3, 4)), rng.normal(size=(n, 4))
    y = np.concatenate([[0, 1, -1], rng.integers(-1, 3, n - 3)])
    total = 0.0
    for k in range(3):
        d = ((Q - P[k]) ** 2).sum(1) / temperature
        if (y == k).any():
            total += max(0.0, d[y == k].mean() - d[y != k].mean() + 0.5)
    found = prototype_triplet_loss(*map(torch.from_numpy, (P, Q, y)), margin=0.5, temperature=temperature)
    assert found.item() == pytest.approx(total, abs=1e-9)


def test_the_gradients_are_the_derivatives():
    torch.manual_seed(0)
    P, Q = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (2, 5))
    y = torch.tensor([0, 1, 1, -1, -1])
    assert torch.autograd.gradcheck(lambda p, q: prototype_triplet_loss(p, q, y, margin=5.0), (P, Q))
    affine = [torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    assert torch.autograd.gradcheck(
        lambda p, q, g, b, h, c: prototype_alignment_loss(p, q, (g, b), (h, c)), (P, Q, *affine)
    )


def test_distances_are_squared_and_by_temperature():
    X, P = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    assert prototype_distances(X, P).tolist() == [[25.0, 16.0]]
    assert prototype_distances(X, P, temperature=2).tolist() == [[12.5, 8.0]]
    expected = -torch.log_softmax(torch.tensor([-25.0, -16.0]), 0)[1]
    assert prototypical_loss(prototype_distances(X, P), torch.tensor([1])).item() == pytest.approx(expected.item())


def test_alignment_is_nothing_for_equal_means_and_equal_scales():
    torch.manual_seed(1)
    source = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    target = source.detach().flip(0).requires_grad_()
    loss = prototype_alignment_loss(source, target, (2 * ONES, ONES), (2 * ONES, ONES))
    loss.backward()
    assert loss.item() < 1e-12
    assert torch.isfinite(source.grad).all()
    same = prototype_alignment_loss(source, source, (ONES, ZEROS), (ONES, ZEROS))
    assert same.item() == 0
    assert torch.autograd.grad(same, source)[0].abs().max() == 0


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_alignment_is_a_norm(seed):
    rng = torch.Generator().manual_seed(seed)
    parts = [torch.randn(2, 3, generator=rng), torch.randn(5, 3, generator=rng)]
    affine = [torch.randn(3, generator=rng) for _ in range(4)]
    one = prototype_alignment_loss(*parts, tuple(affine[:2]), tuple(affine[2:]))
    other = prototype_alignment_loss(*parts[::-1], tuple(affine[2:]), tuple(affine[:2]))
    assert one.item() >= 0
    assert one.item() == pytest.approx(other.item(), rel=1e-5)


@pytest.mark.parametrize("targets", [[0, 2, -1], [0, 0], [-2, 0, 1], [0, 0, 0], [-1, -1, -1]])
def test_targets_that_say_nothing_are_refused(targets):
    with pytest.raises(InputError, match="targets"):
        prototype_triplet_loss(torch.zeros(1, 2), torch.ones(3, 2), torch.tensor(targets))


def test_other_widths_are_refused():
    with pytest.raises(InputError, match="prototypes"):
        prototype_distances(torch.zeros(2, 3), torch.zeros(2, 2))
    with pytest.raises(InputError, match="width"):
        prototype_alignment_loss(torch.zeros(2, 3), torch.zeros(2, 2), (ONES, ONES), (ONES, ONES))
