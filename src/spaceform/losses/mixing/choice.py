"""Which items are mixed for which anchor: pairs of a positive and a negative, or of the anchor and a negative."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from spaceform.losses.fused.fractional import PairSets, plain_closeness
from spaceform.ops.pairs import row_blocks


@dataclass(frozen=True)
class Choice:
    """Mixed items of every anchor: ``second (A, V)`` are items, and so are ``first (A, V)``, or None: the anchor.

    ``mask (A, V)`` bool tells which of them there are.
    """

    first: torch.Tensor | None
    second: torch.Tensor
    mask: torch.Tensor


def choose(
    sets: PairSets, *, with_anchor: bool, max_pairs: int, generator: torch.Generator | None = None
) -> Choice | None:
    """Return the items to mix for each anchor: all positives with all negatives, or the anchor with all negatives.

    Where that is more than ``max_pairs`` over all anchors, the pairs of an anchor are drawn, evenly from its list, in
    which positives come one after the other and negatives class by class. None: there is no such pair at all.
    O(pairs) time and memory, never a matrix of anchors by items.
    """
    order = torch.argsort(sets.item_labels, stable=True)
    ordered = sets.item_labels[order]
    starts = torch.searchsorted(ordered, sets.anchor_labels)
    same = torch.searchsorted(ordered, sets.anchor_labels, right=True) - starts
    negatives = len(order) - same
    own = None
    if sets.own is not None:
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order), device=order.device)
        own = places[sets.own] - starts
    positives = torch.ones_like(same) if with_anchor else same if own is None else same - 1
    counts = positives * negatives
    most = int(counts.max()) if len(counts) else 0
    if most == 0:
        return None
    width = min(most, max(1, max_pairs // len(counts)))
    places = torch.arange(width, device=order.device)
    numbers = places.expand(len(counts), width)
    if width < most:
        shift = torch.rand((len(counts), width), generator=generator, dtype=torch.float64).to(order.device)
        drawn = ((places + shift) * (counts[:, None] / width)).long().clamp(max=counts[:, None] - 1)
        numbers = torch.where(counts[:, None] > width, drawn, numbers)
    mask = numbers < counts[:, None]
    numbers = torch.where(mask, numbers, 0)
    rank = numbers % negatives[:, None].clamp(min=1)
    rank = torch.where(rank >= starts[:, None], rank + same[:, None], rank).clamp(max=len(order) - 1)
    if with_anchor:
        return Choice(None, order[rank], mask)
    place = numbers // negatives[:, None].clamp(min=1)
    if own is not None:
        place = place + (place >= own[:, None])
    first = order[(starts[:, None] + place).clamp(max=len(order) - 1)]
    return Choice(first, order[rank], mask)


@torch.no_grad()
def nearest_negatives(sets: PairSets, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``(first, second)``, each ``(n,)``: every row with its ``k`` nearest rows of other classes.

    ``sets.items`` are the rows of a batch; rows with fewer than ``k`` others give all they have. O(B^2 d).
    """
    rows, labels = sets.items.detach(), sets.item_labels
    firsts, seconds = [], []
    for part in row_blocks(len(rows), len(rows)):
        near = plain_closeness(sets.closeness, rows[part], rows)
        near = near.masked_fill(labels[part, None] == labels[None, :], -torch.inf)
        values, second = near.topk(min(k, len(rows)), dim=1)
        first = torch.arange(len(rows), device=labels.device)[part, None].expand_as(second)
        kept = values > -torch.inf
        firsts.append(first[kept])
        seconds.append(second[kept])
    return torch.cat(firsts), torch.cat(seconds)


def labels_of_mixed(
    sets: PairSets, first: torch.Tensor, second: torch.Tensor, shares: torch.Tensor, *, with_anchor: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return labels and mask ``(A, V)`` of mixed rows, made of ``first`` and ``second (V,)``, for every anchor.

    An anchor counts the mixtures of one of its positives with one of its negatives, whichever is the first; the label
    is the share of the positive, so one mixture has other labels for other anchors. With ``with_anchor`` it counts the
    mixtures of which it is itself the first part. O(A V).
    """
    same, others = sets.masks()
    one, two = same[:, first], same[:, second]
    targets = torch.where(one, shares, 1 - shares)
    if with_anchor:
        itself = torch.zeros_like(one) if sets.own is None else sets.own[:, None] == first
        return targets, itself & ~two
    return targets, (one != two) & others[:, first] & others[:, second]
