"""Distillation: values by slow loops, when it is 0, what gets a gradient, and what is refused."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.losses.continual.distillation import (
    PrototypeAttractionLoss,
    RelationDistillationLoss,
    answer_distillation,
    feature_distillation,
)


def models(seed=0, rows=6, classes=4, width=3):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((rows, width), (classes, width)) * 2
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]


def divergence(old, new):
    """KL of two softmaxes over plain lists."""

    def shares(scores):
        total = sum(map(math.exp, scores))
        return [math.exp(score) / total for score in scores]

    return sum(p * math.log(p / q) for p, q in zip(shares(old), shares(new), strict=True))


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_both_readings_equal_slow_loops(temperature):
    f, theta, f_old, theta_old = models()
    samples = RelationDistillationLoss(axis="samples", temperature=temperature)(f, theta, f_old, theta_old)
    by_class = [
        divergence(
            [cosine(row, theta_old[c]) / temperature for row in f_old],
            [cosine(row, theta[c]) / temperature for row in f],
        )
        for c in range(4)
    ]
    assert samples.item() == pytest.approx(sum(by_class) / 4)
    released = RelationDistillationLoss(axis="prototypes", temperature=temperature)
    value = released(f, theta, f_old, theta_old, groups=[3, 1])
    by_row = [
        divergence(
            [float(f_old[i] @ theta_old[c] / theta_old[c].norm()) / temperature for c in range(3)],
            [float(f[i] @ theta[c] / theta[c].norm()) / temperature for c in range(3)],
        )
        for i in range(6)
    ]
    assert value.item() == pytest.approx(sum(by_row) / 6), "the task of one class adds nothing"


@given(st.integers(0, 999), st.sampled_from(["samples", "prototypes"]))
def test_it_is_never_negative_and_0_for_equal_models_and_common_rotations(seed, axis):
    f, theta, f_old, theta_old = models(seed)
    loss = RelationDistillationLoss(axis=axis)
    assert loss(f, theta, f_old, theta_old) >= 0
    assert loss(f, theta, f, theta).abs() < 1e-12
    rotation = torch.linalg.qr(models(seed + 1, rows=3)[0])[0]
    assert loss(f @ rotation, theta @ rotation, f, theta).abs() < 1e-9, "relations, not positions"


def test_lengths_matter_only_where_the_code_does_not_normalise():
    f, theta, f_old, theta_old = models()
    for axis, unit, invariant in (("samples", None, True), ("prototypes", None, False), ("prototypes", True, True)):
        loss = RelationDistillationLoss(axis=axis, normalize=unit)
        scaled = loss(3 * f, 5 * theta, f_old, theta_old)
        assert torch.allclose(scaled, loss(f, theta, f_old, theta_old)) == invariant
        torch.testing.assert_close(loss(f, 5 * theta, f_old, theta_old), loss(f, theta, f_old, theta_old))


@pytest.mark.parametrize("axis", ["samples", "prototypes"])
def test_gradients_flow_to_the_new_model_only(axis):
    f, theta, f_old, theta_old = (value.requires_grad_() for value in models())
    RelationDistillationLoss(axis=axis)(f, theta, f_old, theta_old).backward()
    assert f.grad.abs().sum() > 0
    assert theta.grad.abs().sum() > 0
    assert f_old.grad is None
    assert theta_old.grad is None


def test_a_task_of_one_class_keeps_nothing_over_prototypes_but_something_over_samples():
    f, theta, f_old, theta_old = models(classes=1)
    f.requires_grad_()
    RelationDistillationLoss(axis="prototypes")(f, theta, f_old, theta_old).backward()
    assert torch.equal(f.grad, torch.zeros_like(f))
    assert RelationDistillationLoss(axis="samples")(f, theta, f_old, theta_old) > 0


def test_attraction_moves_own_prototypes_only():
    f, theta, _, _ = (value.requires_grad_() for value in models())
    targets = torch.tensor([0, 0, 2, 2, 2, 0])
    value = PrototypeAttractionLoss()(f, targets, theta)
    expected = sum(1 - cosine(f[i].detach(), theta[c].detach()) for i, c in enumerate(targets.tolist())) / 6
    assert value.item() == pytest.approx(expected)
    value.backward()
    assert f.grad is None, "the network gets no gradient"
    assert torch.equal(theta.grad[[1, 3]], torch.zeros(2, 3, dtype=torch.float64)), "there are no negatives"
    assert theta.grad[[0, 2]].abs().sum() > 0


def test_features_and_answers():
    f, _, f_old, _ = models()
    distance = math.sqrt(sum(float(a - b) ** 2 for a, b in zip(f.flatten(), f_old.flatten(), strict=True)))
    assert feature_distillation(f, f_old).item() == pytest.approx(distance)
    same = f.clone().requires_grad_()
    feature_distillation(same, f).backward()
    assert torch.equal(same.grad, torch.zeros_like(f)), "0, not NaN"
    value = answer_distillation(f, f_old, temperature=2.0).item()
    rows = [divergence((f_old[i] / 2).tolist(), (f[i] / 2).tolist()) for i in range(6)]
    assert value == pytest.approx(4 * sum(rows) / 6)


def test_what_is_refused():
    f, theta, f_old, theta_old = models()
    relation = RelationDistillationLoss()
    bad = [
        lambda: RelationDistillationLoss(axis="rows"),
        lambda: RelationDistillationLoss(temperature=0),
        lambda: relation(f[:, :2], theta, f_old, theta_old),
        lambda: relation(f, theta, f_old[:3], theta_old),
        lambda: relation(f[:0], theta, f_old[:0], theta_old),
        lambda: RelationDistillationLoss(axis="prototypes")(f, theta, f_old, theta_old, groups=[1, 1]),
        lambda: PrototypeAttractionLoss()(f, torch.zeros(2, dtype=torch.int64), theta),
        lambda: feature_distillation(f, f_old[:2]),
        lambda: answer_distillation(f, f_old[:2]),
        lambda: answer_distillation(f, f_old, temperature=0),
    ]
    for work in bad:
        with pytest.raises(InputError):
            work()


def test_zero_rows_and_prototypes_stay_finite():
    f, theta, f_old, theta_old = models()
    zero = torch.zeros_like(theta).requires_grad_()
    value = RelationDistillationLoss()(f, zero, f_old, theta_old) + PrototypeAttractionLoss()(
        torch.zeros_like(f), torch.zeros(6, dtype=torch.int64), zero
    )
    value.backward()
    assert torch.isfinite(zero.grad).all()
