import pytest
import torch
from torch.nn import functional

from spaceform.errors import InputError
from spaceform.losses.few_shot.balanced import balanced_cross_entropy


def test_it_is_the_mean_of_the_means_of_each_answer():
    torch.manual_seed(0)
    logits, targets = torch.randn(9, 3), torch.tensor([0] * 7 + [2] * 2)
    expected = (
        functional.cross_entropy(logits[:7], targets[:7]) + functional.cross_entropy(logits[7:], targets[7:])
    ) / 2
    assert balanced_cross_entropy(logits, targets).item() == pytest.approx(expected.item(), rel=1e-6)


def test_it_does_not_answer_the_larger_side_alone():
    """One constant logit: the best plain answer is the share of rows, the best balanced one is undecided."""
    logit = torch.zeros(1, requires_grad=True)
    targets = torch.tensor([1] * 5 + [0] * 45)
    loss = balanced_cross_entropy(torch.stack([torch.zeros(50), logit.expand(50)], 1), targets)
    assert torch.autograd.grad(loss, logit)[0].abs().item() < 1e-6
    plain = functional.cross_entropy(torch.stack([torch.zeros(50), logit.expand(50)], 1), targets)
    assert torch.autograd.grad(plain, logit)[0].item() > 0.3


def test_targets_out_of_range_are_refused():
    for targets in ([0, 2], [-1, 0], [0], []):
        with pytest.raises(InputError, match="targets"):
            balanced_cross_entropy(torch.zeros(2, 2), torch.tensor(targets, dtype=torch.int64))
