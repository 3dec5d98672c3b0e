import math

import pytest
import torch

from oracles.batches import assert_same, batch, closeness, unit, value_and_gradients
from spaceform.errors import InputError
from spaceform.losses.lifted import GeneralizedLiftedLoss, LiftedStructureLoss, generalized_lifted, lifted_structure

ROWS = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 0, 1])
AB, AC, BC = 0.8**0.5, 2**0.5, 0.4**0.5


def test_hand_value_of_the_generalized_form():
    assert float(GeneralizedLiftedLoss()(ROWS, LABELS)) == pytest.approx((AB + 1 - AC + AB + 1 - BC) / 2)


def test_hand_value_of_the_structured_form():
    joint = math.log(math.exp(1 - AC) + math.exp(1 - BC)) + AB
    assert float(LiftedStructureLoss()(ROWS, LABELS)) == pytest.approx(joint**2 / 2)


@pytest.mark.parametrize("within", [True, False])
def test_structured_form_by_a_loop_over_pairs(within):
    data = batch(0)
    rows, others = unit(data.embeddings), unit(data.embeddings if within else data.reference)
    labels = data.labels if within else data.reference_labels
    distances = -closeness("distance", rows, others)
    total, count = 0.0, 0
    for i, label in enumerate(data.labels.tolist()):
        for j, other in enumerate(labels.tolist()):
            if label != other or (within and i == j):
                continue
            push = sum(math.exp(1 - distances[i, k]) for k in range(len(others)) if int(labels[k]) != label)
            push += sum(math.exp(1 - distances[k, j]) for k in range(len(rows)) if int(data.labels[k]) != label)
            total += max(0.0, math.log(push) + float(distances[i, j])) ** 2 / 2
            count += 1
    second = {} if within else {"reference": data.reference, "reference_labels": data.reference_labels}
    value = LiftedStructureLoss()(data.embeddings, data.labels, **second)
    assert float(value) == pytest.approx(total / count, rel=1e-9)


def test_gradient_of_the_structured_form_with_a_reference():
    data = batch(1, counts=(2, 1, 3), width=3, reference=6)
    second = {"reference_labels": data.reference_labels}
    assert torch.autograd.gradcheck(
        lambda x, r: LiftedStructureLoss()(x, data.labels, reference=r, **second),
        (data.embeddings.requires_grad_(), data.reference.requires_grad_()),
    )


def test_a_reference_of_one_class_has_no_negatives_for_some_anchors():
    data = batch(2, counts=(3, 2), reference=4)
    labels = torch.full((4,), int(data.labels[0]))
    rows = data.embeddings.requires_grad_()
    for kind in (LiftedStructureLoss, GeneralizedLiftedLoss):
        value = kind()(rows, data.labels, reference=data.reference, reference_labels=labels)
        (gradient,) = torch.autograd.grad(value, rows)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


def test_scaled_up_the_soft_maxima_become_hard():
    # D and margins times a large number: the loss over that number tends to batch-hard triplets at margin 1
    data, scale = batch(3, counts=(3, 4, 2)), 2000.0
    rows = scale * unit(data.embeddings)
    loss = GeneralizedLiftedLoss(negative_margin=0.2 * scale, normalize=False)
    distances = torch.cdist(rows, rows) / scale
    same = data.labels[:, None] == data.labels[None]
    far = distances.masked_fill(~same, 0).amax(1)
    near = distances.masked_fill(same, 9).amin(1)
    expected = (far - near + 0.2).clamp(min=0).mean()
    assert float(loss(rows, data.labels)) / scale == pytest.approx(float(expected), abs=2e-3)


def test_anchors_without_one_side_are_left_out():
    matrix = torch.zeros(2, 2)
    none, every = torch.zeros(2, 2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool)
    assert generalized_lifted(matrix, none, every, near=1.0, far=0.0).tolist() == [0, 0]
    assert generalized_lifted(matrix, every, every, near=1.0, far=0.0).tolist() == [0, 0]
    assert lifted_structure(matrix, none, every, near=1.0, far=0.0).tolist() == [0, 0]


def test_margins_of_cosines():
    data = batch(4, counts=(3, 4, 2))
    ours = value_and_gradients(
        lambda x, _: GeneralizedLiftedLoss(closeness="dot", positive_margin=0.9, negative_margin=0.2)(x, data.labels),
        data.embeddings,
    )
    raised = value_and_gradients(
        lambda x, _: GeneralizedLiftedLoss(closeness="dot", positive_margin=0.8, negative_margin=0.1)(x, data.labels),
        data.embeddings,
    )
    assert_same(ours, raised)  # only their difference counts


@pytest.mark.parametrize("kind", [LiftedStructureLoss, GeneralizedLiftedLoss])
def test_margins_the_wrong_way_round_are_refused(kind):
    with pytest.raises(InputError, match="negative_margin"):
        kind(positive_margin=2.0)
