import math

import pytest
import torch

from oracles.batches import batch
from spaceform.errors import InputError
from spaceform.losses.binomial_deviance import BinomialDevianceLoss


@pytest.mark.parametrize("counts", [(2, 3), (1, 5, 2, 2)])
def test_at_the_middle_it_is_twice_log_two_for_any_counts(counts):
    # rows of cosine 1/2 with each other: the corners of a simplex moved up
    size = sum(counts)
    rows = torch.eye(size, dtype=torch.float64) + (-1 + (1 + size) ** 0.5) / size
    rows = rows / rows.norm(dim=1, keepdim=True)
    assert torch.allclose(rows @ rows.T, 0.5 + 0.5 * torch.eye(size, dtype=torch.float64))
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    assert float(BinomialDevianceLoss()(rows, labels)) == pytest.approx(2 * math.log(2))


def test_positives_and_negatives_are_averaged_apart():
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)
    pull = math.log(1 + math.exp(-2 * 0.1))
    push = (math.log(1 + math.exp(50 * -0.5)) + math.log(1 + math.exp(50 * 0.3))) / 2
    assert float(BinomialDevianceLoss()(rows, torch.tensor([0, 0, 1]))) == pytest.approx(pull + push)


def test_steep_costs_stay_finite_in_single_precision():
    data = batch(0)
    rows = data.embeddings.float().requires_grad_()
    value = BinomialDevianceLoss(alpha=100.0, neg_cost=100.0)(rows, data.labels)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"neg_cost": -1.0}, {"beta": torch.nan}])
def test_wrong_settings_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        BinomialDevianceLoss(**options)
