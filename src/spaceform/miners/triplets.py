"""Mining by name: one door for every strategy that lists its triplets."""

from __future__ import annotations

import torch

from spaceform.checks import check_real
from spaceform.ops.batches import check_batch
from spaceform.ops.mining import mine_triplets
from spaceform.ops.triplets import Mining, Triplets, has_triplets, label_order


def mine(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    mining: Mining,
    *,
    margin: float = 0.2,
    reference: torch.Tensor | None = None,
    reference_labels: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Triplets:
    """Return the triplets of a batch by ``mining``, on squared distances of unit vectors.

    Parameters: ``embeddings (B, d)`` floats of any length, ``labels (B,)`` integers; with ``reference (M, d)`` and
    ``reference_labels (M,)`` positives and negatives come from there, and no row of it counts as the anchor itself.
    ``margin`` in (0, 4), used by ``"semi_hard"`` alone. Random choices are drawn with ``generator``, or with torch's
    global one. Rows come in the order of the labels; nothing carries a gradient.

    Raises ``InputError`` for NaN, zero vectors, labels of another length or the strategy ``"all"``, and
    ``NoPairsError`` without positive or negative pairs. O(B M (d + log M)) time for M reference rows, one block of
    distances and the triplets in memory.
    """
    check_real(margin, "margin", low=0, high=4, open_ends=True)
    with torch.no_grad():
        rows, columns = check_batch(
            embeddings, labels, reference=reference, reference_labels=reference_labels, normalize=True
        )
        batch = label_order(rows, labels, reference=columns, reference_labels=reference_labels)
        has_triplets(batch, empty="raise")
        return mine_triplets(batch, mining, margin=margin, generator=generator)
