"""The pairs that multi-similarity mining keeps: those that are hard next to the anchor's other pairs."""

from __future__ import annotations

from typing import NamedTuple

import torch

from spaceform.checks import check_real
from spaceform.ops.batches import check_batch
from spaceform.ops.triplets import has_triplets, label_order

BLOCK = 2**20
"""Closeness values held at once."""


class Pairs(NamedTuple):
    """Rows of positive pairs ``(P,)`` and of negative ones ``(N,)``, int64; the second ones count in the reference."""

    positive_anchors: torch.Tensor
    positives: torch.Tensor
    negative_anchors: torch.Tensor
    negatives: torch.Tensor


def multi_similarity(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    *,
    epsilon: float = 0.1,
    reference: torch.Tensor | None = None,
    reference_labels: torch.Tensor | None = None,
) -> Pairs:
    """Return the hard pairs of a batch by their cosines s.

    A negative is kept when ``s_an + epsilon > min_p s_ap``, a positive when ``s_ap - epsilon < max_n s_an`` (Wang and
    others, CVPR 2019); an anchor without positives or without negatives keeps nothing. To train
    with them, ``MultiSimilarityLoss(epsilon=...)`` mines inside and lists nothing.

    Parameters: ``embeddings (B, d)`` floats of any length, ``labels (B,)`` integers; with ``reference (M, d)`` and
    ``reference_labels (M,)`` the second row of a pair comes from there; ``epsilon`` (0.1, as in the paper). Pairs come
    in the order of the labels; nothing carries a gradient. Raises ``InputError`` for NaN, zero vectors or labels of
    another length, ``NoPairsError`` without positive or negative pairs. O(B M d) time; memory of one block and the
    pairs, which may be all B M.
    """
    margin = check_real(epsilon, "epsilon")
    found: list[list[torch.Tensor]] = [[], [], [], []]
    with torch.no_grad():
        rows, columns = check_batch(
            embeddings, labels, reference=reference, reference_labels=reference_labels, normalize=True
        )
        batch = label_order(rows, labels, reference=columns, reference_labels=reference_labels)
        has_triplets(batch, empty="raise")
        places = torch.arange(len(batch.columns), device=rows.device)
        step = max(1, BLOCK // len(places))
        for first in range(0, len(rows), step):
            part = slice(first, first + step)
            cosines = batch.rows[part] @ batch.columns.T
            starts, counts = batch.starts[part, None], batch.counts[part, None]
            same = (places >= starts) & (places < starts + counts)
            positive = same if batch.items is None else same & (places != places[part, None])
            hardest = cosines.masked_fill(same, -torch.inf).amax(1, keepdim=True)
            farthest = cosines.masked_fill(~positive, torch.inf).amin(1, keepdim=True)
            near, far = positive & (cosines - margin < hardest), ~same & (cosines + margin > farthest)
            for kept, (anchors, seconds) in ((near, found[:2]), (far, found[2:])):
                at, column = kept.nonzero(as_tuple=True)
                anchors.append(batch.row_order[at + first])
                seconds.append(batch.column_order[column])
    return Pairs(*(torch.cat(parts) for parts in found))
