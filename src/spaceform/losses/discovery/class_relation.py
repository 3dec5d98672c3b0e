"""What a model of the known classes says about rows of novel ones, kept by distillation (Gu and others, ICCV 2023)."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from spaceform.checks import check_choice, check_integer, check_matrix, check_real
from spaceform.errors import InputError

WEIGHTS = ("learned", "detached", "none")

SUM_TOLERANCE = 1e-3
SMALLEST = 1e-30


@final
class ClassRelationKD(nn.Module):
    """Cross entropy between the teacher's and the student's distribution over the known classes, on unlabelled rows.

    ``T^2 sum_i w_i (-sum_k q_ik log p_ik) / sum_i w_i`` over views, heads and unlabelled rows i, with
    ``q = softmax(teacher / (tau T))`` and ``p = softmax(known part of student / (tau T))`` over the known classes only,
    and the weight ``w = sum over known k of softmax(student / (tau T))_k`` over all classes: rows that the student
    finds close to known classes count more. Dividing by the sum is the paper's normalization of w to mean 1.

    Parameters
    ----------
    n_known : known classes; the student's first logits.
    temperature : tau > 0 of the cosines (0.1); distillation_temperature : T > 0 (4).
    weight : "learned" lets gradients reach w, as in the paper; "detached" does not; "none" has w = 1.

    ``forward(student (V, H, B, n_known + n_novel), teacher (V, B, n_known), unlabelled (B,) bool) -> scalar``, 0 when
    no row is unlabelled. The teacher gets no gradient. Raises ``InputError`` for shapes that do not fit, such as a
    teacher with other known classes. O(V H B K).

    >>> loss = ClassRelationKD(n_known=3)
    >>> one = loss(torch.zeros(2, 1, 4, 5), torch.zeros(2, 4, 3), torch.ones(4, dtype=torch.bool))
    >>> round(one.item(), 4)  # 16 ln 3
    17.5778
    """

    def __init__(
        self,
        *,
        n_known: int,
        temperature: float = 0.1,
        distillation_temperature: float = 4.0,
        weight: str = "learned",
    ) -> None:
        super().__init__()
        self.n_known = check_integer(n_known, "n_known", low=2)
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)
        self.distillation_temperature = check_real(
            distillation_temperature, "distillation_temperature", low=0, open_ends=True
        )
        self.weight = check_choice(weight, "weight", WEIGHTS)

    def forward(self, student: torch.Tensor, teacher: torch.Tensor, unlabelled: torch.Tensor) -> torch.Tensor:
        """Return the scalar loss."""
        self._check(student, teacher, unlabelled)
        rows = student[:, :, unlabelled].float() if student.dtype != torch.float64 else student[:, :, unlabelled]
        if rows.numel() == 0:
            return student.sum() * 0
        known = teacher[:, unlabelled].detach().to(rows)
        softness = self.temperature * self.distillation_temperature
        target = torch.softmax(known / softness, -1)[:, None]
        entropy = -(target * torch.log_softmax(rows[..., : self.n_known] / softness, -1)).sum(-1)
        weights = self.row_weights(rows)
        return self.distillation_temperature**2 * (weights * entropy).mean()

    def row_weights(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the weights ``(V, H, B)`` of unlabelled rows ``(V, H, B, K)``, of mean 1."""
        if self.weight == "none":
            return torch.ones_like(rows[..., 0])
        softness = self.temperature * self.distillation_temperature
        mass = torch.softmax(rows / softness, -1)[..., : self.n_known].sum(-1)
        weights = mass / mass.mean()
        return weights.detach() if self.weight == "detached" else weights

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        temperatures = f"temperature={self.temperature}, distillation_temperature={self.distillation_temperature}"
        return f"n_known={self.n_known}, {temperatures}, weight={self.weight!r}"

    def _check(self, student: torch.Tensor, teacher: torch.Tensor, unlabelled: torch.Tensor) -> None:
        if student.ndim != 4 or student.shape[-1] < self.n_known:
            expected = f"(V, H, B, K), K >= {self.n_known}"
            raise InputError("student", got=f"shape {tuple(student.shape)}", expected=expected)
        views, _, rows, _ = student.shape
        if teacher.shape != (views, rows, self.n_known):
            expected = f"({views}, {rows}, {self.n_known}): the student's views and rows, the known classes"
            raise InputError("teacher", got=f"shape {tuple(teacher.shape)}", expected=expected)
        if unlabelled.dtype != torch.bool or unlabelled.shape != (rows,):
            got = f"{unlabelled.dtype} of shape {tuple(unlabelled.shape)}"
            raise InputError("unlabelled", got=got, expected=f"a boolean mask of shape ({rows},)")


def relation_drift(teacher: ArrayLike, student: ArrayLike) -> float:
    """Return the mean over rows of ``KL(teacher || student)`` in nats: how far class relations moved; 0 if not at all.

    Both are probabilities ``(n, k)`` of the known classes. Raises ``InputError`` for unequal shapes, negative entries
    and rows that do not sum to 1. O(n k).
    """
    before = _probabilities(teacher, "teacher")
    after = _probabilities(student, "student")
    if before.shape != after.shape:
        raise InputError("student", got=f"shape {after.shape}", expected=f"{before.shape}, as the teacher's")
    logarithms = np.log(np.maximum(before, SMALLEST)) - np.log(np.maximum(after, SMALLEST))
    return float((before * logarithms).sum(1).mean())


def _probabilities(rows: ArrayLike, name: str) -> np.ndarray:
    table = check_matrix(rows, name, dtype=np.float64)
    if table.min() < 0 or np.abs(table.sum(1) - 1).max() > SUM_TOLERANCE:
        raise InputError(
            name, got=f"entries from {table.min():.3g}", expected="probabilities that sum to 1 in each row"
        )
    return table / table.sum(1, keepdims=True)
