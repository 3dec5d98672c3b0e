import math

import pytest
import torch

from oracles.batches import assert_same, batch, pairs, unit, value_and_gradients
from spaceform.errors import InputError
from spaceform.losses.circle import CircleLoss, circle


def test_hand_value():
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)
    first = math.log(1 + math.exp(0.4 * -0.4) * math.exp(-0.8 * 0))
    second = math.log(1 + math.exp(1.2 * 0.4) * math.exp(-0.8 * 0))
    value = CircleLoss(gamma=1.0)(rows, torch.tensor([0, 0, 1]))
    assert float(value) == pytest.approx((first + second) / 2)


@pytest.mark.parametrize("margin", [0.0, 0.25, 0.4])
def test_weights_may_take_part_in_the_gradient(margin):
    data = batch(0)
    targets, mask = pairs(data.labels)
    both = (targets & mask).any(1).sum()

    def defined(rows, _):
        rows = unit(rows)
        values = circle(rows @ rows.T, targets, mask, margin=margin, gamma=7.0, fixed_weights=False)
        return values.sum() / both

    loss = CircleLoss(margin=margin, gamma=7.0, fixed_weights=False)
    ours = value_and_gradients(lambda rows, _: loss(rows, data.labels), data.embeddings)
    assert_same(ours, value_and_gradients(defined, data.embeddings))
    fixed = value_and_gradients(lambda x, _: CircleLoss(margin=margin, gamma=7.0)(x, data.labels), data.embeddings)
    assert float(fixed[0]) == pytest.approx(float(ours[0]))
    assert not torch.allclose(fixed[1], ours[1])


def test_with_equal_weights_it_is_softmax_with_a_margin():
    # one positive and one negative per anchor, both at cosine s: a_n = s + m, a_p = 1 + m - s; at s = 1/2 they agree,
    # and the loss is softplus(g a (s_n - s_p + 1 - 2m)) with a = 1/2 + m
    closeness = torch.tensor([[0.5, 0.5]])
    targets, mask = torch.tensor([[True, False]]), torch.ones(1, 2, dtype=torch.bool)
    expected = math.log(1 + math.exp(10 * 0.75 * (0.0 + 1 - 2 * 0.25)))
    value = circle(closeness, targets, mask, margin=0.25, gamma=10.0)
    assert float(value) == pytest.approx(expected, rel=1e-6)


def test_pairs_beyond_the_circle_have_no_weight():
    # a negative below -m and a positive at 1 + m or more weigh nothing
    closeness = torch.tensor([[1.0, -0.9]], requires_grad=True)
    targets, mask = torch.tensor([[True, False]]), torch.ones(1, 2, dtype=torch.bool)
    circle(closeness, targets, mask, margin=0.25, gamma=10.0).sum().backward()
    assert closeness.grad[0, 1] == 0


def test_large_gamma_stays_finite_in_single_precision():
    data = batch(1)
    rows = data.embeddings.float().requires_grad_()
    value = CircleLoss(gamma=5000.0)(rows, data.labels)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize("options", [{"margin": -0.1}, {"margin": 1.1}, {"gamma": 0.0}])
def test_wrong_settings_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        CircleLoss(**options)
