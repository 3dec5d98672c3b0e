"""Soft cross-entropy and plain distillation against slow loops."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from spaceform.errors import InputError
from spaceform.losses.distillation.soft_labels import KnowledgeDistillation, check_soft_labels, soft_cross_entropy

g, t = (torch.from_numpy(np.random.default_rng(seed).normal(size=(5, 3))) for seed in (0, 1))
y = torch.tensor([0, 1, 2, 0, 1])


def slow(temperature):
    p, q = (softmax(one.numpy() / temperature, axis=1) for one in (t, g))
    return temperature**2 * np.mean([sum(p[i] * np.log(p[i] / q[i])) for i in range(5)])


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergence_is_that_of_the_formula(temperature):
    loss = KnowledgeDistillation(temperature=temperature)
    np.testing.assert_allclose(loss(g, t).item(), slow(temperature))
    assert loss(t, t).item() == pytest.approx(0, abs=1e-12)
    mixed = KnowledgeDistillation(temperature=temperature, alpha=0.25)(g, t, y).item()
    expected = 0.75 * slow(temperature) + 0.25 * torch.nn.functional.cross_entropy(g, y).item()
    np.testing.assert_allclose(mixed, expected)


def test_targets_of_zero_cost_nothing_and_gradients_are_right():
    hard = torch.nn.functional.one_hot(y, 3).double()
    np.testing.assert_allclose(soft_cross_entropy(g, hard).item(), torch.nn.functional.cross_entropy(g, y).item())
    assert torch.isfinite(soft_cross_entropy(1e4 * g, hard))
    free = g.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: soft_cross_entropy(x, hard), free)
    assert torch.autograd.gradcheck(lambda x: KnowledgeDistillation(alpha=0.5)(x, t, y), free)


def test_bad_targets_are_refused():
    with pytest.raises(InputError, match="teacher_logits"):
        KnowledgeDistillation()(g, t[:, :2])
    with pytest.raises(InputError, match="y"):
        KnowledgeDistillation(alpha=0.5)(g, t)
    with pytest.raises(InputError, match="0 to 2"):
        KnowledgeDistillation(alpha=0.5)(g, t, y + 1)
    with pytest.raises(InputError, match="distributions"):
        check_soft_labels(torch.full((5, 3), torch.nan), g)
    with pytest.raises(InputError, match="temperature"):
        KnowledgeDistillation(temperature=0)
