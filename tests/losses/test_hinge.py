"""The sum over a batch: blocks, and rows that do not learn."""

import pytest
import torch

from spaceform.losses.hinge import hinge_sum
from spaceform.ops import triplets
from spaceform.ops.triplets import Mining, label_order


def batch(rows=50, classes=5):
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(rows, 6, generator=generator, dtype=torch.float64), dim=1)
    return label_order(x, torch.arange(rows) % classes)


@pytest.mark.parametrize("strategy", ["semi_hard", "hard", "all"])
def test_small_blocks_add_up_to_one_large_block(strategy, monkeypatch):
    mining = Mining(strategy=strategy, choice="hardest")
    whole = hinge_sum(batch(), mining, margin=0.4)
    monkeypatch.setattr(triplets, "CPU_BLOCK", 50 * 7)
    parts = hinge_sum(batch(), mining, margin=0.4)
    assert (parts.triplets, parts.active, parts.candidates) == (whole.triplets, whole.active, whole.candidates)
    assert parts.value == pytest.approx(whole.value)
    assert parts.positive == pytest.approx(whole.positive)
    assert parts.negative == pytest.approx(whole.negative)
    torch.testing.assert_close(parts.row_gradient, whole.row_gradient)
    torch.testing.assert_close(parts.column_gradient, whole.column_gradient)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_triplets_without_a_row_that_learns_are_skipped(share, monkeypatch):
    monkeypatch.setattr("spaceform.losses.hinge.DENSE_SHARE", share)
    rows = batch()
    nobody = hinge_sum(rows, Mining(choice="hardest"), margin=0.4, learns=torch.zeros(50, dtype=torch.bool))
    everyone = hinge_sum(rows, Mining(choice="hardest"), margin=0.4, learns=torch.ones(50, dtype=torch.bool))
    half = hinge_sum(rows, Mining(choice="hardest"), margin=0.4, learns=torch.arange(50) % 2 == 0)
    assert (nobody.triplets, nobody.value) == (0, 0)
    assert 0 < half.triplets < everyone.triplets
    assert everyone.value == pytest.approx(hinge_sum(rows, Mining(choice="hardest"), margin=0.4).value)


def test_gradients_that_nobody_wants_are_not_computed():
    total = hinge_sum(batch(), Mining(strategy="all"), margin=0.4, gradients=(False, False))
    assert total.row_gradient is None
    assert total.column_gradient is None
    assert total.value > 0
