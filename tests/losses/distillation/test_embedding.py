"""Embeddings through a learned projection."""

import pytest
import torch

from spaceform.errors import InputError
from spaceform.losses.distillation.embedding import EmbeddingDistillation


def test_it_is_labels_and_the_squared_distance():
    loss = EmbeddingDistillation(student_width=3, teacher_width=5, weight=2.0, seed=1)
    logits, own, theirs, y = torch.randn(4, 2), torch.randn(4, 3), torch.randn(4, 5), torch.tensor([0, 1, 0, 1])
    expected = torch.nn.functional.cross_entropy(logits, y) + 2 * (loss.projection(own) - theirs).square().mean()
    assert loss(logits, own, theirs, y).item() == pytest.approx(expected.item())
    again = EmbeddingDistillation(student_width=3, teacher_width=5, seed=1)
    assert torch.equal(again.projection.weight, loss.projection.weight)


def test_other_widths_and_no_labels_are_refused():
    loss = EmbeddingDistillation(student_width=3, teacher_width=5)
    with pytest.raises(InputError, match="teacher_embeddings"):
        loss(torch.zeros(4, 2), torch.zeros(4, 3), torch.zeros(4, 4), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(InputError, match="y"):
        loss(torch.zeros(4, 2), torch.zeros(4, 3), torch.zeros(4, 5), None)
