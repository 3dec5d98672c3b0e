import math

import pytest
import torch

from oracles.batches import batch
from spaceform.errors import InputError
from spaceform.losses.supcon import SupConLoss, supcon


def test_hand_value():
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)
    first = math.log(math.exp(0.6) + math.exp(0.0)) - 0.6
    second = math.log(math.exp(0.6) + math.exp(0.8)) - 0.6
    value = SupConLoss(temperature=1.0)(rows, torch.tensor([0, 0, 1]))
    assert float(value) == pytest.approx((first + second) / 2)


def test_anchors_without_positives_cost_nothing():
    matrix = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.eye(3, dtype=torch.bool)
    assert supcon(matrix, targets, ~targets).tolist() == [0, 0, 0]


def test_the_lower_bound_is_reached_when_classes_collapse_onto_a_simplex():
    # 4 classes of K = 5 rows at the corners of a regular simplex: cosines 1 and -1/3
    corners = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    temperature, rows = 0.5, corners.repeat_interleave(5, 0)
    value = SupConLoss(temperature=temperature)(rows, torch.arange(20) // 5)
    bound = math.log(4 + 15 * math.exp((-1 / 3 - 1) / temperature))
    assert float(value) == pytest.approx(bound, rel=1e-9)
    moved = rows.clone()
    moved[0] += 0.1 * torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64)
    assert float(SupConLoss(temperature=temperature)(moved, torch.arange(20) // 5)) > bound


def test_cold_temperatures_stay_finite():
    data = batch(0)
    rows = data.embeddings.float().requires_grad_()
    for temperature in (1e-4, 1e4):
        value = SupConLoss(temperature=temperature)(rows, data.labels)
        (gradient,) = torch.autograd.grad(value, rows)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(InputError, match="temperature"):
        SupConLoss(temperature=0.0)
