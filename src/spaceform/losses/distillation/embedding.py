"""Distillation of embeddings through a learned projection."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.losses.distillation.soft_labels import label_loss
from spaceform.rng import derive_seed


class EmbeddingDistillation(nn.Module):
    """``CE(y) + weight |projection(student embedding) - teacher embedding|^2 / D``, mean over rows.

    Parameters: ``student_width``, ``teacher_width`` D: of the embeddings; ``weight`` >= 0; ``seed`` of the projection,
    a linear layer that is trained with the student and then thrown away (Romero and others, ICLR 2015, regress hidden
    layers so). ``forward(logits (B, C), embeddings (B, student_width), teacher_embeddings (B, D), y (B,))``.

    Teacher embeddings should be scaled to unit variance, or ``weight`` means another thing with every teacher.
    """

    def __init__(self, *, student_width: int, teacher_width: int, weight: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.weight = check_real(weight, "weight", low=0)
        check_integer(student_width, "student_width", low=1)
        check_integer(teacher_width, "teacher_width", low=1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "projection"))
            self.projection = nn.Linear(student_width, teacher_width)

    def forward(self, logits: Tensor, embeddings: Tensor, teacher_embeddings: Tensor, y: Tensor | None) -> Tensor:
        """Return the loss of a batch; ``InputError`` for embeddings of other widths and without labels."""
        projected = self.projection(embeddings)
        if projected.shape != teacher_embeddings.shape:
            got = f"shape {tuple(teacher_embeddings.shape)}"
            raise InputError("teacher_embeddings", got=got, expected=f"{tuple(projected.shape)}")
        return label_loss(logits, y) + self.weight * (projected - teacher_embeddings).square().mean()
