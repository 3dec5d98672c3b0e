"""Decoupled distillation: what the teacher says of the true class, apart from what it says of the others."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import log_softmax, logsigmoid, softmax

from spaceform.checks import check_real
from spaceform.errors import InputError
from spaceform.losses.distillation.soft_labels import check_codes, check_teacher_logits, label_loss


class DecoupledDistillation(nn.Module):
    """``T^2 (target_weight TCKD + other_weight NCKD) + alpha CE(y)`` (Zhao and others, CVPR 2022, equation 7).

    TCKD is the divergence of "the true class or not", NCKD that among the other classes. Plain distillation is TCKD +
    (1 - p_true) NCKD; with two classes there is one other class, NCKD is 0, and this is plain distillation.

    Parameters: ``temperature`` > 0; ``target_weight`` and ``other_weight`` >= 0 (1 and 8 in the paper's CIFAR tables);
    ``alpha`` >= 0, the weight of the true labels. ``forward(logits (B, C), teacher_logits (B, C), y (B,))``.
    """

    def __init__(
        self, *, temperature: float = 4.0, target_weight: float = 1.0, other_weight: float = 8.0, alpha: float = 0.0
    ) -> None:
        super().__init__()
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        self.target_weight = check_real(target_weight, "target_weight", low=0)
        self.other_weight = check_real(other_weight, "other_weight", low=0)
        self.alpha = check_real(alpha, "alpha", low=0)

    def forward(self, logits: Tensor, teacher_logits: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the loss of a batch; ``InputError`` without labels, which say what is decoupled."""
        check_teacher_logits(logits, teacher_logits)
        if y is None:
            raise InputError("y", got="None", expected="labels: they say which class is the target")
        check_codes(y, *logits.shape)
        ours, theirs = logits / self.temperature, teacher_logits / self.temperature
        target = _binary(ours, theirs, y)
        loss = self.temperature**2 * (self.target_weight * target + self.other_weight * _others(ours, theirs, y))
        return loss if self.alpha == 0 else loss + self.alpha * label_loss(logits, y)


def _binary(ours: Tensor, theirs: Tensor, y: Tensor) -> Tensor:
    """Return KL of (p_true, 1 - p_true), through the log-odds of the true class against the rest."""
    student, teacher = _log_odds(ours, y), _log_odds(theirs, y)
    p = teacher.sigmoid()
    gain = p * (logsigmoid(teacher) - logsigmoid(student))
    return (gain + (1 - p) * (logsigmoid(-teacher) - logsigmoid(-student))).mean()


def _log_odds(logits: Tensor, y: Tensor) -> Tensor:
    return logits.gather(1, y[:, None])[:, 0] - _without(logits, y).logsumexp(1)


def _others(ours: Tensor, theirs: Tensor, y: Tensor) -> Tensor:
    student, teacher = log_softmax(_without(ours, y), 1), log_softmax(_without(theirs, y), 1)
    return (softmax(_without(theirs, y), 1) * (teacher - student)).sum(1).mean()


def _without(logits: Tensor, y: Tensor) -> Tensor:
    """Return the logits ``(B, C - 1)`` of all classes but the row's own."""
    rows, classes = logits.shape
    others = logits.new_ones(rows, classes).scatter_(1, y[:, None], 0.0).bool()
    return logits[others].view(rows, classes - 1)
