import math

import pytest
import torch

from oracles.batches import batch, pairs, unit
from spaceform.errors import InputError
from spaceform.losses.multi_similarity import MultiSimilarityLoss, multi_similarity

ROWS = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 0, 1])


def test_hand_value():
    near, at = math.log(1 + math.exp(-2 * 0.1)) / 2, math.log(1 + math.exp(50 * 0.3)) / 50
    low = math.log(1 + math.exp(50 * -0.5)) / 50
    both = math.log(math.exp(50 * 0.3) + math.exp(50 * -0.5) + 1) / 50
    expected = (near + low + near + at + both) / 3
    assert float(MultiSimilarityLoss()(ROWS, LABELS)) == pytest.approx(expected, rel=1e-9)


def test_one_hard_pair_in_the_limit_of_steep_slopes():
    # (1/beta) log(1 + sum exp(beta (s - m))) tends to [max s - m]_+, and so do the positives
    steep = MultiSimilarityLoss(alpha=4000.0, beta=4000.0)(ROWS, LABELS)
    hard = (max(0, 0.5 - 0.6) * 2 + max(0, 0.0 - 0.5) + max(0, 0.8 - 0.5) + max(0, 0.8 - 0.5)) / 3
    assert float(steep) == pytest.approx(hard, abs=1e-3)


def test_mining_keeps_the_pairs_of_the_papers_rule():
    data, epsilon = batch(3, noise=0.6), 0.1
    rows = unit(data.embeddings)
    matrix = rows @ rows.T
    targets, mask = pairs(data.labels)
    kept = torch.zeros_like(mask)
    for i in range(len(rows)):
        positive, negative = matrix[i][targets[i] & mask[i]], matrix[i][~targets[i]]
        for j in range(len(rows)):
            if not len(positive) or not mask[i, j]:
                continue
            hard = matrix[i, j] - epsilon < negative.max() if targets[i, j] else matrix[i, j] + epsilon > positive.min()
            kept[i, j] = bool(hard)
    assert 0 < kept.sum() < mask.sum()
    expected = multi_similarity(matrix, targets, kept).mean()
    value = MultiSimilarityLoss(epsilon=epsilon)(data.embeddings, data.labels)
    assert float(value) == pytest.approx(float(expected), rel=1e-9)


def test_a_wide_epsilon_keeps_every_pair_of_anchors_with_positives():
    data = batch(4, counts=(3, 4, 2))
    wide = MultiSimilarityLoss(epsilon=5.0)(data.embeddings, data.labels)
    assert float(wide) == pytest.approx(float(MultiSimilarityLoss()(data.embeddings, data.labels)), rel=1e-9)


def test_extreme_slopes_stay_finite_in_single_precision():
    data = batch(5)
    rows = data.embeddings.float().requires_grad_()
    for beta in (1e-3, 1.0, 1e4):
        value = MultiSimilarityLoss(alpha=beta, beta=beta)(rows, data.labels)
        (gradient,) = torch.autograd.grad(value, rows)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"beta": -1.0}, {"base": torch.inf}, {"epsilon": "wide"}])
def test_wrong_settings_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        MultiSimilarityLoss(**options)
