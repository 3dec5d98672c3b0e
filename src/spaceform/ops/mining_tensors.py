"""Choosing triplets in a block of distances with torch operations only, for any device.

The keys of a block carry the row of the anchor above distance and column, so that a block whose rows are sorted is
sorted as a whole, and one binary search over all of it serves every positive pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from spaceform.ops.triplets import Batch, Mining

FLOAT_BITS = 31
"""Bits of a float32 that is not negative: its bit pattern, read as an integer, keeps the order of the numbers."""


@dataclass(frozen=True)
class Mined:
    """Triplets of one block: ``anchors`` within the block and columns in label order, each ``(T,)``.

    ``candidates`` could have given a triplet: ordered positive pairs, or anchors with a positive (``"hard"``).
    ``pair_sum`` adds up the distances of the ordered positive pairs, ``same_sum`` those of all columns with the label
    of the anchor.
    """

    anchors: torch.Tensor
    positives: torch.Tensor
    negatives: torch.Tensor
    candidates: int
    pair_sum: float
    same_sum: float


@dataclass(frozen=True)
class HingeWeights:
    """Sum of the hinge over ``triplets`` triplets, of which ``active`` are above 0.

    ``weights (rows, M)`` is its derivative by the *squared* distance of every anchor and column of the block.
    """

    value: float
    active: int
    triplets: int
    weights: torch.Tensor


@dataclass(frozen=True)
class AllTriplets:
    """The hinge over every triplet of a block, and the sums of distances as in :class:`Mined`."""

    hinge: HingeWeights
    pair_sum: float
    same_sum: float


@dataclass(frozen=True)
class _Pairs:
    """Positive pairs of a block; the first ``room[i]`` sorted keys of anchor i are its negatives."""

    anchors: torch.Tensor
    positives: torch.Tensor
    distances: torch.Tensor
    room: torch.Tensor
    keys: torch.Tensor
    bits: int
    same_sum: float

    def count_below(self, distances: torch.Tensor, *, inclusive: bool) -> torch.Tensor:
        """For each pair, how many of its anchor's negatives lie below (or at) ``distances (P,)``."""
        width = self.keys.shape[1]
        keys = (self.anchors << (FLOAT_BITS + self.bits)) + (_as_integer(distances) << self.bits)
        if inclusive:
            keys += 2**self.bits - 1
        found = torch.searchsorted(self.keys.view(-1), keys, right=inclusive) - self.anchors * width
        return torch.minimum(found, self.room[self.anchors])


def mine(
    batch: Batch, first: int, distances: torch.Tensor, *, mining: Mining, margin: float, draws: torch.Tensor | None
) -> Mined:
    """Choose the triplets of a block; ``draws (P,)`` in [0, 1) make the random choices."""
    pairs = _pairs(batch, first, distances)
    everyone = torch.arange(len(pairs.anchors), device=distances.device)
    chosen = _farthest(pairs) if mining.strategy == "hard" else everyone
    low = torch.zeros_like(everyone)
    high = pairs.room[pairs.anchors]
    if mining.strategy == "semi_hard":
        limits = pairs.distances.to(torch.float32)
        high = pairs.count_below(limits + margin, inclusive=False)
        low = pairs.count_below(limits, inclusive=True) if mining.rule == "facenet" else low
    rank = low
    if draws is not None:
        rank = low + (draws * (high - low)).long()
    candidates = len(chosen)
    chosen = chosen[(high > low)[chosen]]
    anchors = pairs.anchors[chosen]
    negatives = pairs.keys[anchors, rank[chosen]] & (2**pairs.bits - 1)
    return Mined(
        anchors=anchors,
        positives=pairs.positives[chosen],
        negatives=negatives,
        candidates=candidates,
        pair_sum=float(pairs.distances.sum()),
        same_sum=pairs.same_sum,
    )


def active_terms(
    distances: torch.Tensor, mined: Mined, keep: torch.Tensor | None, *, margin: float, squared: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hinge ``(A,)``, anchors and columns ``(2, 2 A)`` and their weights ``(2 A,)`` of the A active triplets."""
    anchors, positives, negatives = mined.anchors, mined.positives, mined.negatives
    near, far = distances[anchors, positives], distances[anchors, negatives]
    hinge = near - far + margin
    active = hinge > 0 if keep is None else (hinge > 0) & keep
    anchors, positives, negatives = anchors[active], positives[active], negatives[active]
    index = torch.stack([anchors.repeat(2), torch.cat([positives, negatives])])
    weights = torch.cat([slope(near[active], squared), -slope(far[active], squared)])
    return hinge[active], index, weights


def weigh(
    distances: torch.Tensor, mined: Mined, keep: torch.Tensor | None, *, margin: float, squared: bool
) -> HingeWeights:
    """Sum the hinge over the triplets of a block that ``keep (T,)`` allows, with its derivatives as a matrix."""
    hinge, index, values = active_terms(distances, mined, keep, margin=margin, squared=squared)
    weights = torch.zeros_like(distances)
    weights.view(-1).index_add_(0, index[0] * distances.shape[1] + index[1], values)
    counted = len(mined.anchors) if keep is None else int(keep.sum())
    return HingeWeights(float(hinge.sum(dtype=torch.float64)), len(hinge), counted, weights)


def slope(distances: torch.Tensor, squared: bool) -> torch.Tensor:
    """Derivative of a distance by the squared distance; 0 at a plain distance of 0, where it has none."""
    return torch.ones_like(distances) if squared else torch.where(distances > 0, 0.5 / distances, 0.0)


def weigh_all(batch: Batch, first: int, distances: torch.Tensor, *, margin: float, squared: bool) -> AllTriplets:
    """Add up every triplet of a block: a pair's hinges are a prefix sum over its anchor's sorted negatives."""
    pairs = _pairs(batch, first, distances)
    rows, width = distances.shape
    columns = pairs.keys & (2**pairs.bits - 1)
    prefix = distances.new_zeros(rows, width + 1, dtype=torch.float64)
    torch.cumsum(distances.gather(1, columns), 1, dtype=torch.float64, out=prefix[:, 1:])
    limits = pairs.distances + margin
    counts = pairs.count_below(limits.to(torch.float32), inclusive=False)
    value = counts * limits.double() - prefix[pairs.anchors, counts]
    # the negative of rank r is active with every pair that counts more than r negatives below its limit
    ends = torch.zeros(rows, width + 1, dtype=torch.int64, device=distances.device)
    ends.view(-1).index_add_(0, pairs.anchors * (width + 1) + counts, torch.ones_like(counts))
    above = ends.sum(1, keepdim=True) - ends.cumsum(1)[:, :-1]
    weights = torch.zeros_like(distances).scatter_(1, columns, -above.to(distances.dtype))
    weights[pairs.anchors, pairs.positives] = counts.to(distances.dtype)
    hinge = HingeWeights(
        value=float(value.sum()),
        active=int(counts.sum()),
        triplets=int(pairs.room[pairs.anchors].sum()),
        weights=weights * slope(distances, squared),
    )
    return AllTriplets(
        hinge=hinge,
        pair_sum=float(pairs.distances.sum()),
        same_sum=pairs.same_sum,
    )


def _pairs(batch: Batch, first: int, distances: torch.Tensor) -> _Pairs:
    rows, width = distances.shape
    starts, counts = batch.starts[first : first + rows], batch.counts[first : first + rows]
    anchors = torch.repeat_interleave(torch.arange(rows, device=distances.device), counts)
    shift = starts - (counts.cumsum(0) - counts)
    positives = torch.arange(len(anchors), device=distances.device) + shift[anchors]
    near = distances[anchors, positives]
    same_sum = float(near.sum())
    bits = column_bits(width)
    keys = (_as_integer(distances) << bits) + torch.arange(width, device=distances.device)
    keys[anchors, positives] |= (2**FLOAT_BITS - 1) << bits
    keys += (torch.arange(rows, device=distances.device) << (FLOAT_BITS + bits))[:, None]
    if batch.items is not None:
        other = batch.items[anchors + first] != batch.items[positives]
        anchors, positives, near = anchors[other], positives[other], near[other]
    return _Pairs(anchors, positives, near, width - counts, keys.sort(dim=1).values, bits, same_sum)


def _farthest(pairs: _Pairs) -> torch.Tensor:
    """The pair of largest distance of each anchor that has one; ties go to the column that comes first."""
    order = torch.argsort(pairs.distances, descending=True, stable=True)
    order = order[torch.argsort(pairs.anchors[order], stable=True)]
    anchors = pairs.anchors[order]
    leads = torch.ones_like(anchors, dtype=torch.bool)
    leads[1:] = anchors[1:] != anchors[:-1]
    return order[leads]


def _as_integer(distances: torch.Tensor) -> torch.Tensor:
    return distances.to(torch.float32).view(torch.int32).to(torch.int64)


def column_bits(width: int) -> int:
    """Bits that number the columns of a block."""
    return max(1, (width - 1).bit_length())
