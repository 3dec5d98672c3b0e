"""Decoupled distillation: what it adds up to, and that two classes leave plain distillation."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from spaceform.errors import InputError
from spaceform.losses.distillation.decoupled import DecoupledDistillation
from spaceform.losses.distillation.soft_labels import KnowledgeDistillation


def draw(classes, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(9, classes))), torch.from_numpy(rng.normal(size=(9, classes)))


def test_with_two_classes_it_is_plain_distillation():
    g, t = draw(2)
    y = torch.arange(9) % 2
    for temperature in (1.0, 8.0):
        plain = KnowledgeDistillation(temperature=temperature)(g, t).item()
        found = DecoupledDistillation(temperature=temperature)(g, t, y).item()
        assert found == pytest.approx(plain)


def test_it_is_the_slow_sum_of_its_parts():
    g, t = draw(4)
    y = torch.arange(9) % 4
    total = 0.0
    for row in range(9):
        c = int(y[row])
        p, q = (softmax(one[row].numpy() / 3) for one in (t, g))
        two = [np.array([one[c], 1 - one[c]]) for one in (p, q)]
        rest = [np.delete(one, c) / np.delete(one, c).sum() for one in (p, q)]
        total += 2.0 * sum(two[0] * np.log(two[0] / two[1])) + 5.0 * sum(rest[0] * np.log(rest[0] / rest[1]))
    loss = DecoupledDistillation(temperature=3, target_weight=2, other_weight=5)
    assert loss(g, t, y).item() == pytest.approx(9 * total / 9)
    assert torch.autograd.gradcheck(lambda x: loss(x, t, y), g.clone().requires_grad_())


def test_weights_of_one_and_of_the_rest_are_plain_distillation_row_by_row():
    g, t = draw(4, 1)
    for row in range(9):
        y = torch.tensor([row % 4])
        rest = 1 - torch.softmax(t[row : row + 1] / 4, 1)[0, row % 4].item()
        loss = DecoupledDistillation(temperature=4, target_weight=1, other_weight=rest)
        plain = KnowledgeDistillation(temperature=4)(g[row : row + 1], t[row : row + 1]).item()
        assert loss(g[row : row + 1], t[row : row + 1], y).item() == pytest.approx(plain)


def test_extreme_logits_stay_finite_and_labels_are_needed():
    g, t = draw(3)
    y = torch.arange(9) % 3
    free = (1e4 * g).requires_grad_()
    loss = DecoupledDistillation(temperature=1, alpha=1)(free, 1e4 * t, y)
    loss.backward()
    assert torch.isfinite(loss.detach())
    assert torch.isfinite(free.grad).all()
    with pytest.raises(InputError, match="labels"):
        DecoupledDistillation()(g, t)
