import pytest
import torch

from oracles.batches import batch, unit
from spaceform.errors import InputError
from spaceform.losses.contrastive import ContrastiveLoss, contrastive
from spaceform.losses.triplet import TripletLoss
from spaceform.ops.triplets import Mining


def test_hand_value_of_cosines():
    # Metrix's brief example: s = 0.7 and m = 0.5 give 0.2 for a negative; a positive at 0.7 lacks 0.3
    closeness = torch.tensor([[0.7, 0.7]])
    targets, mask = torch.tensor([[True, False]]), torch.ones(1, 2, dtype=torch.bool)
    values = contrastive(closeness, targets, mask, near=1.0, far=0.5)
    torch.testing.assert_close(values, torch.tensor([[0.3, 0.2]]))


def test_pairs_outside_the_mask_cost_nothing():
    values = contrastive(torch.zeros(2, 3), torch.eye(2, 3) > 0, torch.eye(2, 3) > 0, near=1.0, far=-1.0)
    torch.testing.assert_close(values, torch.eye(2, 3))


def test_satisfied_pairs_leave_a_zero_with_a_graph():
    rows = torch.eye(4).repeat_interleave(2, 0).requires_grad_()
    value = ContrastiveLoss()(rows, torch.arange(8) // 2)
    value.backward()
    assert float(value.detach()) == 0
    assert rows.grad.abs().sum() == 0


def test_only_active_pairs_are_averaged():
    data = batch(0)
    rows = unit(data.embeddings)
    distances = torch.cdist(rows, rows)
    same = data.labels[:, None] == data.labels[None]
    off = ~torch.eye(len(rows), dtype=torch.bool)
    positive, negative = distances[same & off], 1 - distances[~same]
    mean = ContrastiveLoss(reduction="mean")(data.embeddings, data.labels)
    active = ContrastiveLoss()(data.embeddings, data.labels)
    assert float(mean) == pytest.approx(float(positive.mean() + negative.clamp(min=0).mean()), rel=1e-9)
    assert float(active) == pytest.approx(float(positive.mean() + negative[negative > 0].mean()), rel=1e-9)


def test_one_positive_and_one_negative_at_huge_margins_is_the_triplet_loss():
    # with every hinge active the loss is D_ap - D_an plus constants, as is the triplet loss
    rows = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], dtype=torch.float64)
    labels, shift = torch.tensor([0, 0, 1]), 1.9
    ours = ContrastiveLoss(negative_margin=9.0, reduction="mean")(rows, labels) - 9
    triplets = TripletLoss(margin=shift, squared=False, mining=Mining(strategy="all"))(rows, labels) - shift
    assert float(ours) == pytest.approx(float(triplets), abs=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"positive_margin": 1.1},
        {"closeness": "dot", "negative_margin": 1.2},
        {"positive_margin": float("nan")},
        {"reduction": "median"},
    ],
)
def test_margins_the_wrong_way_round_are_refused(options):
    with pytest.raises(InputError):
        ContrastiveLoss(**options)
