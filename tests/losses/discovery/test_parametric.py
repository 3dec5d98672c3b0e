"""Self-distillation and mean entropy of SimGCD by hand."""

import math

import pytest
import torch
from torch.nn.functional import log_softmax, softmax

from spaceform.errors import InputError
from spaceform.losses.discovery.parametric import mean_entropy, self_distillation, teacher_temperature

LOGITS = torch.tensor([[0.1, 0.2, 0.0], [0.3, 0.0, 0.1], [0.2, 0.1, 0.0], [0.0, 0.0, 0.4]], dtype=torch.float64)


def test_either_view_teaches_the_other():
    expected = 0.0
    for student, teacher in ((0, 2), (1, 3), (2, 0), (3, 1)):
        goal = softmax(LOGITS[teacher] / 0.05, 0)
        expected -= (goal * log_softmax(LOGITS[student] / 0.1, 0)).sum().item() / 4
    assert self_distillation(LOGITS, teacher_temperature=0.05).item() == pytest.approx(expected)


def test_the_teacher_gets_no_gradient():
    logits = LOGITS.clone().requires_grad_()
    self_distillation(logits, teacher_temperature=0.05).backward()
    teacher = softmax(LOGITS / 0.05, 1).roll(2, 0)
    torch.testing.assert_close(logits.grad, (softmax(LOGITS / 0.1, 1) - teacher) / 0.1 / 4)


def test_mean_entropy_is_zero_when_classes_are_used_alike_and_log_k_when_one_is():
    assert mean_entropy(torch.eye(3)).item() == pytest.approx(0, abs=1e-6)
    assert mean_entropy(torch.tensor([[50.0, 0.0, 0.0]])).item() == pytest.approx(math.log(3))


def test_the_teacher_grows_sharper_over_thirty_epochs():
    assert teacher_temperature(0) == pytest.approx(0.07)
    assert teacher_temperature(29) == teacher_temperature(100) == pytest.approx(0.04)


def test_refusals():
    with pytest.raises(InputError, match="two views"):
        self_distillation(LOGITS[:3])
    with pytest.raises(InputError, match="teacher_temperature"):
        self_distillation(LOGITS, teacher_temperature=0.0)
