"""The neighbour-aware loss against a loop over rows."""

import math

import pytest
import torch

from spaceform.errors import InputError
from spaceform.losses.continual.neighbor_repulsion import NAVQLoss


def slow(x, y, vectors, edges, sharpness=0.001):
    total = 0.0
    for row, c in zip(x.tolist(), y.tolist(), strict=True):
        squared = [sum((a - b) ** 2 for a, b in zip(row, vector, strict=True)) for vector in vectors.tolist()]
        near = [j for j in range(len(vectors)) if j != c and edges[c][j] > 0]
        weights = {j: math.exp(-sharpness * squared[j]) for j in near}
        far = sum(weights[j] * squared[j] for j in near) / sum(weights.values()) if near else 0.0
        total += max(0.0, squared[c] - far)
    return total / len(x)


def batch(scale=3.0):
    generator = torch.Generator().manual_seed(0)
    x, vectors = (scale * torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (12, 4))
    edges = torch.tensor([[1.0, 0.5, 0, 0.4], [0.5, 1, 0, 0], [0, 0, 1, 0], [0.4, 0, 0, 1]])
    return x, torch.arange(12) % 4, vectors, edges


def test_the_value_equals_the_loop():
    x, y, vectors, edges = batch()
    assert NAVQLoss()(torch.cdist(x, vectors), y, edges).item() == pytest.approx(slow(x, y, vectors, edges))
    own = (x - vectors[y]).square().sum(1).mean().item()
    assert NAVQLoss()(torch.cdist(x, vectors), y, torch.eye(4)).item() == pytest.approx(own), "only drawn together"


def test_no_gradient_goes_through_the_weights():
    x, y, vectors, edges = batch()
    rows = x.clone().requires_grad_()
    NAVQLoss(sharpness=0.05)(torch.cdist(rows, vectors), y, edges).backward()
    squared = torch.cdist(x, vectors).square()
    near = (edges[y] > 0).scatter(1, y[:, None], False)
    weights = (-0.05 * squared).exp() * near
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-300)
    expected = x.clone().requires_grad_()
    squared = torch.cdist(expected, vectors).square()
    (squared.gather(1, y[:, None])[:, 0] - (weights * squared).sum(1)).relu().mean().backward()
    torch.testing.assert_close(rows.grad, expected.grad)


def test_far_rows_still_have_neighbours():
    distances = torch.tensor([[2000.0, 1500.0, 1000.0]])  # exp(-0.001 d^2) is 0 for all of them
    edges = torch.ones(3, 3)
    assert NAVQLoss()(distances, torch.tensor([0]), edges).item() == pytest.approx(2000.0**2 - 1000.0**2, rel=1e-4)


def test_what_is_refused():
    x, y, vectors, edges = batch()
    distances = torch.cdist(x, vectors)
    for bad in ((distances, y[:-1], edges), (distances[:0], y[:0], edges), (distances, y, edges[:3])):
        with pytest.raises(InputError):
            NAVQLoss()(*bad)
