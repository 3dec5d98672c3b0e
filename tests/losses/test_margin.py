"""The margin loss: its hinges by hand, its choice of negatives by a slow loop, its learned boundary."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.batches import batch, unit
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.margin import MarginLoss, margin_hinges


def slow(embeddings, labels, *, beta=1.2, margin=0.2, cutoff=0.5):
    """Every ordered positive pair; per anchor as many nearest negatives beyond the cut-off; active terms averaged."""
    rows = unit(embeddings)
    terms = []
    for a, anchor in enumerate(rows):
        distances = [float((anchor - other).norm()) for other in rows]
        positives = [p for p in range(len(rows)) if p != a and labels[p] == labels[a]]
        negatives = sorted(d for n, d in enumerate(distances) if labels[n] != labels[a] and d >= cutoff)
        terms += [max(0.0, distances[p] - beta + margin) for p in positives]
        terms += [max(0.0, beta - d + margin) for d in negatives[: len(positives)]]
    active = [term for term in terms if term > 0]
    return sum(active) / max(1, len(active))


def test_hinges_by_hand():
    near, far = torch.tensor([1.1], dtype=torch.float64), torch.tensor([1.3], dtype=torch.float64)
    assert float(margin_hinges(near, far)) == pytest.approx((0.1 + 0.1) / 2)
    both = torch.tensor([1.1, 0.4]), torch.tensor([1.3, 1.9, 1.9])
    assert float(margin_hinges(*both)) == pytest.approx(0.1, abs=1e-6)  # inactive terms do not count


def test_settled_pairs_give_exactly_zero_and_no_gradient():
    near = torch.tensor([1.0, 0.0], requires_grad=True)
    far = torch.tensor([1.4, 2.0], requires_grad=True)
    value = margin_hinges(near, far, beta=1.2, margin=0.19)
    value.backward()
    assert float(value.detach()) == 0
    assert near.grad.abs().sum() == far.grad.abs().sum() == 0
    rows = torch.tensor([[1.0, 0, 0], [1, 0, 0], [-1, 0, 0], [-1, 0, 0]], requires_grad=True)
    value = MarginLoss()(rows, torch.tensor([0, 0, 1, 1]))  # d_ap = 0 and d_an = 2
    value.backward()
    assert float(value.detach()) == 0
    assert torch.equal(rows.grad, torch.zeros_like(rows))


@given(seed=st.integers(0, 200), cutoff=st.sampled_from([0.0, 0.5, 1.0]), beta=st.floats(0.6, 1.5))
@settings(deadline=None, max_examples=30)
def test_the_slow_loop_agrees(seed, cutoff, beta):
    data = batch(seed)
    value = MarginLoss(beta=beta, cutoff=cutoff)(data.embeddings, data.labels)
    assert float(value) == pytest.approx(slow(data.embeddings, data.labels, beta=beta, cutoff=cutoff), abs=1e-6)


def test_negatives_nearer_than_the_cutoff_are_passed_over():
    angles = torch.tensor([0.0, 10.0, 20.0, 60.0]).deg2rad()  # distances to row 0: 0.17, 0.35, 1.0
    rows, labels = torch.stack([angles.cos(), angles.sin()], 1), torch.tensor([0, 0, 1, 1])
    assert float(MarginLoss()(rows, labels)) == pytest.approx(slow(rows, labels), abs=1e-6)
    rows.requires_grad_()
    grad = torch.autograd.grad(MarginLoss()(rows, labels), rows)[0]
    assert grad[2].abs().sum() == 0  # every negative of row 2 is too near, and its positive is near enough


def test_coinciding_positives_have_no_infinite_slope():
    rows = torch.tensor([[1.0, 0], [1, 0], [0.9, 0.1], [0.9, 0.1]], requires_grad=True)
    MarginLoss(beta=0.1, margin=0.2, cutoff=0.0)(rows, torch.tensor([0, 0, 1, 1])).backward()
    assert torch.isfinite(rows.grad).all()


def test_the_boundary_learns_only_when_asked():
    data = batch(3)
    plain, learned = MarginLoss(), MarginLoss(learn_beta=True)
    rows = data.embeddings.clone().requires_grad_()
    plain(rows, data.labels).backward()
    assert plain.beta.grad is None
    learned(rows, data.labels).backward()
    step = 1e-4
    up, down = (MarginLoss(beta=1.2 + sign * step)(data.embeddings, data.labels) for sign in (1, -1))
    assert float(learned.beta.grad) == pytest.approx(float(up - down) / (2 * step), abs=1e-3)


def test_equal_to_the_peer_up_to_what_is_counted():
    pytest.importorskip("pytorch_metric_learning")
    from pytorch_metric_learning import losses, reducers

    data = batch(1, counts=(3, 3, 3))
    rows, labels = unit(data.embeddings), data.labels
    triplets = [
        (a, p, n)
        for a in range(len(rows))
        for p, n in zip(
            [p for p in range(len(rows)) if p != a and labels[p] == labels[a]],
            sorted(
                (n for n in range(len(rows)) if labels[n] != labels[a] and (rows[a] - rows[n]).norm() >= 0.5),
                key=lambda n, a=a: float((rows[a] - rows[n]).norm()),
            ),
            strict=False,
        )
    ]
    index = tuple(torch.tensor(column) for column in zip(*triplets, strict=True))
    theirs = losses.MarginLoss(margin=0.2, beta=1.2, reducer=reducers.DoNothingReducer())(rows, labels, index)
    summed = float(theirs["margin_loss"]["losses"].sum())
    near = (rows[index[0]] - rows[index[1]]).norm(dim=1)
    far = (rows[index[0]] - rows[index[2]]).norm(dim=1)
    active = int((near > 1.0).sum() + (far < 1.4).sum())
    assert float(margin_hinges(near, far)) == pytest.approx(summed / active, rel=1e-4)


@pytest.mark.parametrize("options", [{"beta": 0}, {"beta": 2.5}, {"margin": -1}, {"cutoff": 3}, {"margin": math.nan}])
def test_settings_are_checked(options):
    with pytest.raises(InputError, match=next(iter(options))):
        MarginLoss(**options)


def test_one_class_has_no_negatives():
    with pytest.raises(NoPairsError):
        MarginLoss()(torch.eye(3), torch.zeros(3, dtype=torch.int64))
    assert float(MarginLoss(empty="zero")(torch.eye(3), torch.zeros(3, dtype=torch.int64))) == 0
