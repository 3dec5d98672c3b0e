"""Semi-hard negatives (FaceNet, section 3.2): beyond the positive, but within the margin."""

from __future__ import annotations

import torch

from spaceform.miners.triplets import mine
from spaceform.ops.triplets import Mining, Triplets


def semi_hard(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    *,
    margin: float = 0.2,
    reference: torch.Tensor | None = None,
    reference_labels: torch.Tensor | None = None,
    rule: str = "facenet",
    choice: str = "random",
    generator: torch.Generator | None = None,
) -> Triplets:
    """Return one negative for every ordered pair of rows of one class: K (K - 1) pairs for a class of K rows.

    The negative satisfies ``D_ap < D_an < D_ap + margin`` on squared distances of unit vectors; ``rule="vgg"`` drops
    the left inequality, as VGG-Face and the common re-implementations do. ``choice`` among those negatives, which the
    paper leaves open: ``"random"`` (uniform) or ``"hardest"`` (the nearest). Pairs without such a negative are dropped,
    so there may be no triplet at all: in a collapsed space there is none. Input, errors and cost as in
    :func:`spaceform.miners.triplets.mine`.
    """
    return mine(
        embeddings,
        labels,
        Mining(strategy="semi_hard", rule=rule, choice=choice),
        margin=margin,
        reference=reference,
        reference_labels=reference_labels,
        generator=generator,
    )
