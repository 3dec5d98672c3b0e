"""Distillation of class relations: hand values, where gradients go, the weight, and the drift."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.losses.discovery.class_relation import ClassRelationKD, relation_drift

ALL = torch.ones(6, dtype=torch.bool)
SOME = torch.tensor([True, False, True, True, False, True])


def logits(seed=0, views=2, heads=3, rows=6, classes=7):
    generator = torch.Generator().manual_seed(seed)
    student = 2 * torch.rand(views, heads, rows, classes, generator=generator, dtype=torch.float64) - 1
    teacher = 2 * torch.rand(views, rows, 4, generator=generator, dtype=torch.float64) - 1
    return student.requires_grad_(), teacher


def slow(student, teacher, unlabelled, tau=0.1, T=4.0, weighted=True):
    """Loop over views, heads and rows."""
    weights, entropies = [], []
    for view in range(len(student)):
        for head in range(student.shape[1]):
            for row in np.flatnonzero(unlabelled):
                s, t = student[view, head, row], teacher[view, row]
                q = np.exp(t / (tau * T)) / np.exp(t / (tau * T)).sum()
                p = np.exp(s[:4] / (tau * T)) / np.exp(s[:4] / (tau * T)).sum()
                entropies.append(-(q * np.log(p)).sum())
                weights.append(np.exp(s[:4] / (tau * T)).sum() / np.exp(s / (tau * T)).sum() if weighted else 1.0)
    weights = np.array(weights) / np.mean(weights)
    return T**2 * (weights * np.array(entropies)).mean()


@given(st.integers(0, 1000), st.booleans())
def test_equals_a_slow_loop(seed, weighted):
    student, teacher = logits(seed)
    loss = ClassRelationKD(n_known=4, weight="learned" if weighted else "none")
    expected = slow(student.detach().numpy(), teacher.numpy(), SOME.numpy(), weighted=weighted)
    assert loss(student, teacher, SOME).item() == pytest.approx(expected)


@pytest.mark.parametrize("n_known", [2, 5, 80])
def test_uniform_teacher_and_student_give_16_logarithms(n_known):
    loss = ClassRelationKD(n_known=n_known)
    value = loss(torch.zeros(2, 1, 3, n_known + 4), torch.zeros(2, 3, n_known), torch.ones(3, dtype=torch.bool))
    assert value.item() == pytest.approx(16 * math.log(n_known), rel=1e-5)


def test_novel_logits_learn_through_the_weight_only():
    student, teacher = logits()
    for weight, learns in (("learned", True), ("detached", False), ("none", False)):
        (gradient,) = torch.autograd.grad(ClassRelationKD(n_known=4, weight=weight)(student, teacher, ALL), student)
        assert bool(gradient[..., 4:].abs().max() > 0) is learns
        assert gradient[..., :4].abs().max() > 0


def test_labelled_rows_and_the_teacher_learn_nothing():
    student, teacher = logits()
    teacher.requires_grad_()
    loss = ClassRelationKD(n_known=4)(student, teacher, SOME)
    ours, theirs = torch.autograd.grad(loss, [student, teacher], allow_unused=True)
    assert (ours[:, :, ~SOME] == 0).all()
    assert theirs is None


def test_the_gradient_is_the_derivative():
    student, teacher = logits(views=1, heads=1, rows=6, classes=6)
    assert torch.autograd.gradcheck(lambda rows: ClassRelationKD(n_known=4)(rows, teacher, SOME), student)


def test_weights_have_mean_one_and_follow_the_known_mass():
    loss = ClassRelationKD(n_known=4)
    assert loss.row_weights(logits()[0]).mean().item() == pytest.approx(1)
    torch.testing.assert_close(loss.row_weights(torch.full((2, 1, 5, 9), 0.3)), torch.ones(2, 1, 5), atol=1e-6, rtol=0)
    rows = torch.zeros(1, 1, 2, 6)
    rows[0, 0, 1, :4] = 0.5
    low, high = loss.row_weights(rows)[0, 0].tolist()
    mass = 4 * math.exp(0.5 / 0.4) / (4 * math.exp(0.5 / 0.4) + 2)  # at tau T = 0.4, not at tau
    assert high / low == pytest.approx(mass / (4 / 6), rel=1e-5)


def test_no_unlabelled_row_gives_zero_and_no_nan():
    student, teacher = logits()
    loss = ClassRelationKD(n_known=4)(student, teacher, ~ALL)
    assert loss.item() == 0
    assert (torch.autograd.grad(loss, student)[0] == 0).all()


def test_a_probability_that_underflows_stays_finite():
    student = torch.zeros(1, 1, 1, 3)
    student[..., 0] = 100.0
    one = torch.ones(1, dtype=torch.bool)
    assert torch.isfinite(ClassRelationKD(n_known=2)(student, torch.zeros(1, 1, 2), one))


@pytest.mark.parametrize(
    "settings",
    [
        {"n_known": 1},
        {"temperature": 0.0},
        {"distillation_temperature": 0.0},
        {"distillation_temperature": -4.0},
        {"weight": "both"},
    ],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        ClassRelationKD(**({"n_known": 3} | settings))


def test_shapes_that_do_not_fit_are_refused():
    student, teacher = logits()
    loss = ClassRelationKD(n_known=4)
    for name, given_values in {
        "student": (student[0], teacher, ALL),
        "teacher": (student, teacher[..., :3], ALL),
        "unlabelled": (student, teacher, ALL.long()),
    }.items():
        with pytest.raises(InputError, match=name):
            loss(*given_values)
    with pytest.raises(InputError, match="student"):
        loss(student[..., :3], teacher, ALL)


def test_drift_by_hand():
    teacher, student = [[0.5, 0.5], [1.0, 0.0]], [[0.25, 0.75], [0.5, 0.5]]
    first = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert relation_drift(teacher, student) == pytest.approx((first + math.log(2)) / 2)
    assert relation_drift(teacher, teacher) == 0


@pytest.mark.parametrize(
    ("teacher", "student", "name"),
    [
        ([[0.5, 0.5]], [[0.2, 0.2]], "student"),
        ([[1.5, -0.5]], [[0.5, 0.5]], "teacher"),
        ([[0.5, 0.5]], [[0.5, 0.25, 0.25]], "student"),
        ([[np.nan, 0.5]], [[0.5, 0.5]], "teacher"),
    ],
)
def test_drift_refuses_what_is_no_probability(teacher, student, name):
    with pytest.raises(InputError, match=name):
        relation_drift(teacher, student)
