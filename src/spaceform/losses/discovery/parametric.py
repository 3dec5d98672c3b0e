"""What trains a classifier over classes that partly have no labels: SimGCD (Wen, Zhao and Qi, ICCV 2023)."""

from __future__ import annotations

import math

import torch
from torch.nn.functional import softmax

from spaceform.checks import check_real
from spaceform.errors import InputError
from spaceform.losses.distillation.soft_labels import soft_cross_entropy

TEACHER = (0.07, 0.04)
"""Temperature of the teacher at the start and after the warm-up."""

WARM_UP = 30
"""Epochs over which the teacher becomes sharper."""


def teacher_temperature(epoch: int) -> float:
    """Return the temperature of the teacher: from 0.07 down to 0.04, linearly over the first 30 epochs."""
    first, last = TEACHER
    return first + (last - first) * min(1.0, epoch / (WARM_UP - 1))


def self_distillation(
    logits: torch.Tensor, *, teacher_temperature: float = 0.04, temperature: float = 0.1
) -> torch.Tensor:
    """Return the mean cross entropy of one view's prediction with the other's, sharpened and without gradient.

    ``logits (2B, K)``: a view of every item, then in the same order another; either is the teacher of the other.
    Raises ``InputError`` for an odd number of rows and temperatures <= 0. O(B K).
    """
    _check_logits(logits)
    check_real(temperature, "temperature", low=0, open_ends=True)
    check_real(teacher_temperature, "teacher_temperature", low=0, open_ends=True)
    teacher = softmax(logits.detach() / teacher_temperature, 1).roll(len(logits) // 2, 0)
    return soft_cross_entropy(logits / temperature, teacher)


def mean_entropy(logits: torch.Tensor, *, temperature: float = 0.1) -> torch.Tensor:
    """Return ``log K - H(mean of softmax(logits / t))`` in [0, log K]: 0 when all classes are used alike.

    ``logits (N, K)``. It keeps a classifier without labels from putting all rows into one class. O(N K).
    """
    check_real(temperature, "temperature", low=0, open_ends=True)
    mean = softmax(logits / temperature, 1).mean(0)
    return math.log(logits.shape[1]) + torch.xlogy(mean, mean).sum()


def _check_logits(logits: torch.Tensor) -> None:
    if logits.ndim != 2 or len(logits) % 2 or len(logits) == 0:
        raise InputError("logits", got=f"shape {tuple(logits.shape)}", expected="(2B, K), two views of B items")
