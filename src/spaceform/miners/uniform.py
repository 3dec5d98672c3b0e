"""Triplets without mining: the baseline against which a miner shows its worth."""

from __future__ import annotations

import torch

from spaceform.miners.triplets import mine
from spaceform.ops.triplets import Mining, Triplets


def random_triplets(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    *,
    reference: torch.Tensor | None = None,
    reference_labels: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Triplets:
    """Return every ordered pair of one class with a negative drawn uniformly from the other classes.

    Input, errors and cost as in :func:`spaceform.miners.triplets.mine`.
    """
    mining = Mining(strategy="random")
    return mine(embeddings, labels, mining, reference=reference, reference_labels=reference_labels, generator=generator)
