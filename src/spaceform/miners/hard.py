"""Hardest triplets of a batch: from a random start they can collapse the space (FaceNet, section 3.2)."""

from __future__ import annotations

import torch

from spaceform.miners.triplets import mine
from spaceform.ops.triplets import Mining, Triplets


def batch_hard(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    *,
    reference: torch.Tensor | None = None,
    reference_labels: torch.Tensor | None = None,
) -> Triplets:
    """Return every anchor with its farthest positive and its nearest negative ("batch hard", Hermans et al. 2017).

    Ties go to the row that comes first in label order. Input, errors and cost as in
    :func:`spaceform.miners.triplets.mine`.
    """
    mining = Mining(strategy="hard")
    return mine(embeddings, labels, mining, reference=reference, reference_labels=reference_labels)


def hard_negative(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    *,
    reference: torch.Tensor | None = None,
    reference_labels: torch.Tensor | None = None,
) -> Triplets:
    """Return every ordered pair of one class with the nearest negative of its anchor.

    Input, errors and cost as in :func:`spaceform.miners.triplets.mine`.
    """
    mining = Mining(strategy="hard_negative")
    return mine(embeddings, labels, mining, reference=reference, reference_labels=reference_labels)
