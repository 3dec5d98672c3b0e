import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from oracles.batches import batch, unit
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.info_nce import InfoNCELoss, NPairLoss
from spaceform.losses.supcon import SupConLoss


def views(seed=0, count=9, width=5):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(count, width, generator=generator, dtype=torch.float64) for _ in range(2))


def test_two_views_are_the_loss_of_simclr():
    one, two = views()
    rows = unit(torch.cat([one, two]))
    scores = rows @ rows.T / 0.2
    scores.fill_diagonal_(-torch.inf)
    partner = torch.arange(18).roll(9)
    labels = torch.arange(9).repeat(2)
    value = InfoNCELoss(temperature=0.2)(torch.cat([one, two]), labels)
    assert float(value) == pytest.approx(float(cross_entropy(scores, partner)), rel=1e-9)
    assert float(value) == pytest.approx(float(SupConLoss(temperature=0.2)(rows, labels)), rel=1e-9)


def test_aligned_sets_are_the_loss_of_clip():
    images, texts = views(1)
    scores, items = unit(images) @ unit(texts).T / 0.07, torch.arange(9)
    both = (cross_entropy(scores, items) + cross_entropy(scores.T, items)) / 2
    one_way = InfoNCELoss()(images, items, reference=texts, reference_labels=items)
    symmetric = InfoNCELoss(symmetric=True)(images, items, reference=texts, reference_labels=items)
    assert float(one_way) == pytest.approx(float(cross_entropy(scores, items)), rel=1e-9)
    assert float(symmetric) == pytest.approx(float(both), rel=1e-9)


def test_symmetry_gives_both_sides_their_gradient():
    images, texts = (x.requires_grad_() for x in views(2))
    items = torch.arange(9)
    InfoNCELoss(symmetric=True)(images, items, reference=texts, reference_labels=items).backward()
    scores = unit(images) @ unit(texts).T / 0.07
    both = (cross_entropy(scores, items) + cross_entropy(scores.T, items)) / 2
    for expected, rows in zip(torch.autograd.grad(both, (images, texts)), (images, texts), strict=True):
        torch.testing.assert_close(rows.grad, expected)


@pytest.mark.parametrize("with_reference", [False, True])
def test_a_learned_temperature_gets_its_derivative(with_reference):
    data, step = batch(3), 1e-3
    second = {"reference": data.reference, "reference_labels": data.reference_labels} if with_reference else {}
    loss = InfoNCELoss(temperature=0.3, learn_temperature=True)
    loss(data.embeddings, data.labels, **second).backward()
    up, down = (
        float(InfoNCELoss(temperature=0.3 * math.exp(sign * step))(data.embeddings, data.labels, **second))
        for sign in (1, -1)
    )
    assert float(loss.log_temperature.grad) == pytest.approx((up - down) / (2 * step), rel=1e-4)
    assert [name for name, _ in loss.named_parameters()] == ["log_temperature"]
    assert loss.temperature == pytest.approx(0.3)


def test_a_learned_temperature_learns_when_the_rows_do_not():
    data = batch(4)
    loss = InfoNCELoss(learn_temperature=True)
    loss(data.embeddings, data.labels).backward()
    assert float(loss.log_temperature.grad) != 0


def test_a_temperature_is_learned_on_dot_products_only():
    with pytest.raises(InputError, match="learn_temperature"):
        InfoNCELoss(learn_temperature=True, closeness="distance")
    with pytest.raises(InputError, match="temperature"):
        InfoNCELoss(temperature=0.0)


def test_cold_temperatures_stay_finite():
    data = batch(5)
    rows = data.embeddings.float().requires_grad_()
    for temperature in (1e-4, 1e4):
        value = InfoNCELoss(temperature=temperature)(rows, data.labels)
        (gradient,) = torch.autograd.grad(value, rows)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


def test_n_pair_takes_the_first_two_rows_of_each_class():
    rows = torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 1.0], [9.0, 9.0], [5.0, 5.0]], dtype=torch.float64)
    labels = torch.tensor([4, 7, 4, 7, 4, 1])  # the third row of class 4 and the only one of class 1 are left out
    assert float(NPairLoss()(rows, labels)) == pytest.approx(math.log(1 + math.exp(-2)))
    assert float(NPairLoss(l2=0.1)(rows, labels)) == pytest.approx(math.log(1 + math.exp(-2)) + 0.1 * (4 + 1) / 2)


def test_n_pair_with_a_reference_pairs_across():
    rows, others = torch.eye(3, dtype=torch.float64), 2 * torch.eye(3, dtype=torch.float64)
    value = NPairLoss()(rows, torch.arange(3), reference=others, reference_labels=torch.arange(3))
    assert float(value) == pytest.approx(math.log(1 + 2 * math.exp(-2)))


def test_n_pair_gradient_reaches_the_rows_that_were_used():
    data = batch(6)
    rows = data.embeddings.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: NPairLoss(l2=0.02, scale=3.0)(x, data.labels), rows)


def test_n_pair_without_two_pairs():
    rows = torch.eye(3).requires_grad_()
    with pytest.raises(NoPairsError):
        NPairLoss()(rows, torch.tensor([0, 0, 1]))
    value = NPairLoss(empty="zero")(rows, torch.tensor([0, 0, 1]))
    value.backward()
    assert float(value.detach()) == 0


def test_settings_show_in_the_representation():
    assert "temperature=0.07" in repr(InfoNCELoss())
    assert "l2=0.5" in repr(NPairLoss(l2=0.5))
