"""Cross-entropy with soft labels, and plain distillation of logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from spaceform.checks import check_real
from spaceform.errors import InputError

SUM_TOLERANCE = 1e-3
"""How far the sum of a row of soft labels may lie from 1: float16 targets pass."""


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of ``-sum_k targets_k log softmax(logits)_k`` over rows ``(B, K)``; targets of 0 cost nothing.

    >>> soft_cross_entropy(torch.zeros(1, 4), torch.tensor([[0.5, 0.5, 0.0, 0.0]]))
    tensor(1.3863)
    """
    return -(targets * log_softmax(logits, 1)).sum(1).mean()


def check_soft_labels(targets: Tensor, logits: Tensor, name: str = "soft_targets") -> None:
    """Raise ``InputError`` unless ``targets`` has the shape of ``logits (B, K)`` and its rows are distributions."""
    if targets.shape != logits.shape or logits.ndim != 2:
        raise InputError(name, got=f"shape {tuple(targets.shape)}", expected=f"that of logits {tuple(logits.shape)}")
    sums = targets.detach().double().sum(1)
    if not bool(((sums - 1).abs() <= SUM_TOLERANCE).all()) or bool((targets < 0).any()):
        raise InputError(name, got="rows that are no distributions", expected="values >= 0 that sum to 1 in each row")


def check_codes(y: Tensor, n_rows: int, n_classes: int) -> None:
    """Raise ``InputError`` unless ``y (n_rows,)`` holds class numbers 0..n_classes-1."""
    if y.shape != (n_rows,) or y.dtype != torch.int64:
        raise InputError("y", got=f"shape {tuple(y.shape)}, {y.dtype}", expected=f"shape ({n_rows},), int64")
    if n_rows and not (int(y.min()) >= 0 and int(y.max()) < n_classes):
        got = f"labels from {int(y.min())} to {int(y.max())}"
        raise InputError("y", got=got, expected=f"0 to {n_classes - 1}", remedy="number the classes first")


def softmax_divergence(old: Tensor, new: Tensor, *, dim: int = 1) -> Tensor:
    """Return ``KL(softmax(old) || softmax(new))`` over the dimension ``dim`` of logits of one shape, >= 0."""
    before, after = log_softmax(old, dim=dim), log_softmax(new, dim=dim)
    return (before.exp() * (before - after)).sum(dim)


def distillation_divergence(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return ``T^2 KL(softmax(teacher / T) || softmax(student / T))``, mean over rows ``(B, C)``.

    The factor keeps the size of gradients as T grows (Hinton, Vinyals and Dean 2015, section 2).
    """
    return temperature**2 * softmax_divergence(teacher_logits / temperature, logits / temperature).mean()


class KnowledgeDistillation(nn.Module):
    """``alpha CE(y) + (1 - alpha) T^2 KL(teacher || student)`` at one temperature T for both (Hinton et al., 2015).

    Parameters: ``temperature`` > 0; ``alpha`` in [0, 1], the share of the true labels. ``forward(logits (B, C),
    teacher_logits (B, C), y (B,))``; ``y`` may be None with alpha = 0. Raises ``InputError`` for other shapes.
    """

    def __init__(self, *, temperature: float = 4.0, alpha: float = 0.0) -> None:
        super().__init__()
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        self.alpha = check_real(alpha, "alpha", low=0, high=1)

    def forward(self, logits: Tensor, teacher_logits: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the loss of a batch."""
        check_teacher_logits(logits, teacher_logits)
        loss = (1 - self.alpha) * distillation_divergence(logits, teacher_logits, self.temperature)
        return loss if self.alpha == 0 else loss + self.alpha * label_loss(logits, y)


def check_teacher_logits(logits: Tensor, teacher_logits: Tensor) -> None:
    """Raise ``InputError`` unless both are ``(B, C)``: a teacher of other classes has nothing to say."""
    if logits.ndim != 2 or logits.shape != teacher_logits.shape:
        got = f"shape {tuple(teacher_logits.shape)}"
        raise InputError("teacher_logits", got=got, expected=f"that of the student's, {tuple(logits.shape)}")


def label_loss(logits: Tensor, y: Tensor | None) -> Tensor:
    """Return the cross-entropy with true labels; ``InputError`` without them."""
    if y is None:
        raise InputError("y", got="None", expected="labels: alpha gives them a share of the loss")
    check_codes(y, *logits.shape)
    return cross_entropy(logits, y)
