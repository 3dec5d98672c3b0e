"""Choosing triplets in a block of distances: an anchor's negatives are sorted once, each pair searches in them.

A distance and its column are packed into one integer key, so that sorting the keys of an anchor sorts its negatives,
and ties go to the column that comes first in label order. The same algorithm is written twice: compiled for the CPU
(:mod:`spaceform.ops.mining_compiled`) and in torch operations for other devices (:mod:`spaceform.ops.mining_tensors`);
both choose the same triplets.
"""

from __future__ import annotations

import torch

from spaceform.errors import InputError
from spaceform.ops import mining_tensors
from spaceform.ops.mining_tensors import AllTriplets, HingeWeights, Mined
from spaceform.ops.triplets import Batch, Mining, Triplets, distance_blocks


def is_compiled(distances: torch.Tensor) -> bool:
    """Whether the compiled engine works on these distances: on the CPU only."""
    return distances.device.type == "cpu"


def mine_block(
    batch: Batch,
    first: int,
    distances: torch.Tensor,
    *,
    mining: Mining,
    margin: float,
    generator: torch.Generator | None = None,
) -> Mined:
    """Choose the triplets of the anchors from ``first`` on, whose ``distances (rows, M)`` to all columns are given.

    Distances are compared in float32, whatever their precision. Random choices come from ``generator``, or from torch's
    global generator (which the training loop seeds for each step). O(rows M log M + P log M) for P positive pairs.
    """
    if mining.strategy == "all":
        raise InputError(
            "strategy",
            got="'all'",
            expected="a strategy that lists its triplets",
            remedy="TripletLoss(mining=Mining(strategy='all')) sums over all triplets without listing them",
        )
    n_pairs = batch.block_pairs(first, len(distances))
    draws = None
    if mining.draws:
        place = distances.device if generator is None else generator.device
        draws = torch.rand(n_pairs, dtype=torch.float64, generator=generator, device=place).to(distances.device)
    if not is_compiled(distances):
        return mining_tensors.mine(batch, first, distances, mining=mining, margin=margin, draws=draws)
    from spaceform.ops import mining_compiled

    return mining_compiled.mine(batch, first, distances, mining=mining, margin=margin, draws=draws)


def weigh_block(
    distances: torch.Tensor, mined: Mined, *, keep: torch.Tensor | None, margin: float, squared: bool
) -> HingeWeights:
    """Sum the hinge over the triplets of a block that ``keep (T,)`` allows, with its derivatives as a matrix. O(T)."""
    if not is_compiled(distances):
        return mining_tensors.weigh(distances, mined, keep, margin=margin, squared=squared)
    from spaceform.ops import mining_compiled

    return mining_compiled.weigh(distances, mined, keep, margin=margin, squared=squared)


def weigh_all(batch: Batch, first: int, distances: torch.Tensor, *, margin: float, squared: bool) -> AllTriplets:
    """Sum the hinge over every triplet of the anchors from ``first`` on, in O(rows M log M), without listing them."""
    if not is_compiled(distances):
        return mining_tensors.weigh_all(batch, first, distances, margin=margin, squared=squared)
    from spaceform.ops import mining_compiled

    return mining_compiled.weigh_all(batch, first, distances, margin=margin, squared=squared)


@torch.no_grad()
def mine_triplets(
    batch: Batch, mining: Mining, *, margin: float, squared: bool = True, generator: torch.Generator | None = None
) -> Triplets:
    """List the triplets of a batch, in the rows of the embeddings and reference as they were given.

    O(B M (d + log M)) time; memory of one block of distances and of the triplets.
    """
    blocks: list[Triplets] = []
    for first, distances in distance_blocks(batch, squared=squared):
        mined = mine_block(batch, first, distances, mining=mining, margin=margin, generator=generator)
        blocks.append(
            Triplets(
                batch.row_order[mined.anchors + first],
                batch.column_order[mined.positives],
                batch.column_order[mined.negatives],
            )
        )
    return Triplets(*(torch.cat(parts) for parts in zip(*blocks, strict=True)))
