"""Distance-weighted negatives: drawn so that all distances come up, instead of those that chance makes common."""

from __future__ import annotations

import torch

from spaceform.checks import check_real
from spaceform.errors import InputError
from spaceform.ops.batches import check_batch
from spaceform.ops.triplets import Triplets, distance_blocks, has_triplets, label_order


def log_density(distances: torch.Tensor, width: int) -> torch.Tensor:
    """Return ``(d - 2) log D + (d - 3)/2 log(1 - D^2 / 4)``, the log density of distances of random unit vectors.

    Up to a constant, for distances in (0, 2) in ``width`` dimensions d (Wu and others, ICCV 2017, section 4). In many
    dimensions nearly all pairs are at the square root of 2.
    """
    tiny = torch.finfo(distances.dtype).tiny
    inner = (1 - distances * distances / 4).clamp(min=tiny)
    return (width - 2) * distances.clamp(min=tiny).log() + (width - 3) / 2 * inner.log()


def distance_weighted(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    *,
    cutoff: float = 0.5,
    farthest: float = 1.4,
    reference: torch.Tensor | None = None,
    reference_labels: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Triplets:
    """Return one negative for every ordered positive pair, drawn with probability proportional to ``1 / density``.

    Wu and others, ICCV 2017, section 4: the weight of a negative at distance D (of unit vectors) is
    ``1 / q(max(D, cutoff))`` with ``q`` of :func:`log_density`, and 0 at ``farthest`` or beyond, where losses with the
    usual margins are 0. Pairs whose anchor has no negative nearer than that are dropped.

    Parameters: ``embeddings (B, d)`` floats of any length with d >= 2, ``labels (B,)`` integers; with ``reference (M,
    d)`` and ``reference_labels (M,)`` positives and negatives come from there; ``cutoff`` (0.5) and ``farthest`` (1.4),
    the settings of the authors' code; ``generator``, or torch's global one. Nothing carries a gradient.

    pytorch-metric-learning's ``DistanceWeightedMiner`` scales the weights of all anchors together, so that those of
    anchors with none but distant negatives underflow and their pairs are lost; here each anchor is scaled alone. It
    draws the positives at random too, instead of taking every pair.

    Raises ``InputError`` for NaN, zero vectors or labels of another length, ``NoPairsError`` without positive or
    negative pairs. O(B M d) time, memory of one block and of the triplets.
    """
    check_real(cutoff, "cutoff", low=0, high=2, open_ends=True)
    check_real(farthest, "farthest", low=cutoff, high=2)
    chosen: list[list[torch.Tensor]] = [[], [], []]
    with torch.no_grad():
        rows, columns = check_batch(
            embeddings, labels, reference=reference, reference_labels=reference_labels, normalize=True
        )
        if rows.shape[1] < 2:
            raise InputError("embeddings", got="1 column", expected="at least 2: unit numbers have no density")
        batch = label_order(rows, labels, reference=columns, reference_labels=reference_labels)
        has_triplets(batch, empty="raise")
        places = torch.arange(len(batch.columns), device=rows.device)
        for first, distances in distance_blocks(batch, squared=False):
            part = slice(first, first + len(distances))
            starts, stops = batch.starts[part, None], (batch.starts + batch.counts)[part, None]
            same = (places >= starts) & (places < stops)
            weights = -log_density(distances.clamp(min=cutoff), rows.shape[1])
            weights.masked_fill_(same | (distances >= farthest), -torch.inf)
            top = weights.amax(1, keepdim=True)
            reach = weights.sub_(top.masked_fill(top == -torch.inf, 0)).exp_().cumsum(1, dtype=torch.float64)
            positive = same if batch.items is None else same & (places != places[part, None])
            anchors, positives = (positive & (reach[:, -1:] > 0)).nonzero(as_tuple=True)
            draws = torch.rand(len(anchors), dtype=torch.float64, generator=generator, device=rows.device)
            negatives = _search(reach, anchors, draws)
            for parts, found in zip(chosen, (batch.row_order[anchors + first], positives, negatives), strict=True):
                parts.append(found)
    anchors, positives, negatives = (torch.cat(parts) for parts in chosen)
    return Triplets(anchors, batch.column_order[positives], batch.column_order[negatives])


def _search(reach: torch.Tensor, rows: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Return for each draw in [0, 1) the first column at which the running sum of its row passes that share of it."""
    height, width = reach.shape
    # the sums of row i, as shares of the whole, lie in (i, i + 1]: one sorted list for all rows
    shares = reach / reach[:, -1:].clamp(min=torch.finfo(reach.dtype).tiny)
    lifted = (shares + torch.arange(height, device=reach.device)[:, None]).view(-1)
    found = torch.searchsorted(lifted, rows + draws, right=True)
    return found.clamp_(max=height * width - 1) - rows * width
