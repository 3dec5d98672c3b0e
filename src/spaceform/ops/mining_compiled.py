"""Choosing triplets in a block of distances on the CPU: the loops over pairs compiled, the sorting by NumPy.

NumPy sorts 64-bit integers with vector instructions, ten times faster than torch sorts on a CPU, so the keys are packed
by one compiled pass, sorted in place, and searched by another. Tensors are shared with NumPy, not copied.
"""

from __future__ import annotations

import numpy as np
import torch

from spaceform.compiled import compiled
from spaceform.ops.mining_tensors import AllTriplets, HingeWeights, Mined, column_bits
from spaceform.ops.triplets import Batch, Mining

SAME = np.int64(2**62)
"""Marks the keys of columns with the label of the anchor: they sort after its negatives, nearest first as well."""


def mine(
    batch: Batch, first: int, distances: torch.Tensor, *, mining: Mining, margin: float, draws: torch.Tensor | None
) -> Mined:
    """Choose the triplets of a block; ``draws (P,)`` in [0, 1) make the random choices."""
    matrix, starts, stops, row_items, column_items = _arrays(batch, first, distances.to(torch.float32))
    bits = column_bits(matrix.shape[1])
    keys = _sorted_keys(matrix, starts, stops, bits)
    size = batch.block_pairs(first, len(distances))
    anchors, positives, negatives = (np.empty(size, np.int64) for _ in range(3))
    semi_hard = mining.strategy == "semi_hard"
    count, candidates, pair_sum, same_sum = _search(
        (matrix, keys, bits),
        (starts, stops, row_items, column_items),
        np.float32(margin),
        (semi_hard and mining.rule == "facenet", semi_hard, mining.strategy == "hard"),
        np.empty(0) if draws is None else draws.numpy(),
        (anchors, positives, negatives),
        _scratch(int((stops - starts).max())),
    )
    return Mined(
        anchors=torch.from_numpy(anchors[:count]),
        positives=torch.from_numpy(positives[:count]),
        negatives=torch.from_numpy(negatives[:count]),
        candidates=candidates,
        pair_sum=pair_sum,
        same_sum=same_sum,
    )


def weigh(
    distances: torch.Tensor, mined: Mined, keep: torch.Tensor | None, *, margin: float, squared: bool
) -> HingeWeights:
    """Sum the hinge over the triplets of a block that ``keep (T,)`` allows, with its derivatives as a matrix."""
    weights = torch.zeros_like(distances)
    triplets = tuple(part.numpy() for part in (mined.anchors, mined.positives, mined.negatives))
    mask = np.empty(0, np.bool_) if keep is None else keep.numpy()
    value, active, counted = _weigh(distances.numpy(), triplets, mask, margin, squared, weights.numpy())
    return HingeWeights(value, active, counted, weights)


def weigh_all(batch: Batch, first: int, distances: torch.Tensor, *, margin: float, squared: bool) -> AllTriplets:
    """Add up every triplet of a block: a pair's hinges are a prefix sum over its anchor's sorted negatives."""
    matrix, starts, stops, row_items, column_items = _arrays(batch, first, distances)
    bits = column_bits(matrix.shape[1])
    keys = _sorted_keys(matrix, starts, stops, bits)
    weights = torch.zeros_like(distances)
    value, active, triplets, pair_sum, same_sum = _sum_rows(
        (matrix, keys, bits),
        (starts, stops, row_items, column_items),
        np.float32(margin),
        squared,
        weights.numpy(),
        _scratch(int((stops - starts).max())),
    )
    return AllTriplets(HingeWeights(value, active, triplets, weights), pair_sum, same_sum)


def _arrays(batch: Batch, first: int, distances: torch.Tensor) -> tuple[np.ndarray, ...]:
    """Distances, the stretches of the labels, and the items of rows and columns (never equal with a reference)."""
    rows = slice(first, first + len(distances))
    starts, counts = batch.starts[rows].numpy(), batch.counts[rows].numpy()
    if batch.items is None:
        row_items, column_items = np.full(len(distances), -1), np.zeros(distances.shape[1], np.int64)
    else:
        column_items = batch.items.numpy()
        row_items = column_items[rows]
    return distances.numpy(), starts, starts + counts, row_items, column_items


def _scratch(longest: int) -> tuple[np.ndarray, ...]:
    """Room for one anchor's positives: distances and limits, each with its bit pattern as integers, and two counts."""
    near, limit = np.zeros(longest, np.float32), np.zeros(longest, np.float32)
    counts = np.zeros(longest, np.int64), np.zeros(longest, np.int64)
    return near, near.view(np.int32), limit, limit.view(np.int32), *counts


def _sorted_keys(matrix: np.ndarray, starts: np.ndarray, stops: np.ndarray, bits: int) -> np.ndarray:
    keys = np.empty(matrix.shape, np.int64)
    _pack(matrix.astype(np.float32, copy=False).view(np.int32), starts, stops, bits, keys)
    keys.sort(axis=1)
    return keys


@compiled()
def _pack(integers: np.ndarray, starts: np.ndarray, stops: np.ndarray, bits: int, keys: np.ndarray) -> None:
    rows, width = integers.shape
    for row in range(rows):
        for column in range(width):
            keys[row, column] = (np.int64(integers[row, column]) << bits) | column
        for column in range(starts[row], stops[row]):
            keys[row, column] |= SAME


@compiled()
def _advance(keys: np.ndarray, place: int, stop: int, limit: int) -> int:
    """Return the first place from ``place`` on whose key is not below ``limit``: strides that double, then halving."""
    stride, high = 1, place
    while high < stop and keys[high] < limit:
        place = high + 1
        high += stride
        stride *= 2
    high = min(high, stop)
    while place < high:
        middle = (place + high) >> 1
        if keys[middle] < limit:
            place = middle + 1
        else:
            high = middle
    return place


@compiled()
def _count_below(keys, stretch, limits, bits, beyond, counts):  # type: ignore[no-untyped-def]  # compiled
    """Fill ``counts`` with how many negatives of an anchor are below the limits of its positives.

    ``keys`` are the anchor's, sorted; ``stretch`` is the first column and the number of columns of its label;
    ``limits`` are integer bit patterns of distances in the order of the columns, rising with the distances. With
    ``beyond`` negatives at the limit count too. The positives are taken nearest first, so one walk serves them all.
    """
    start, length = stretch
    room = len(keys) - length
    place = 0
    for rank in range(room, len(keys)):
        i = (keys[rank] & ((1 << bits) - 1)) - start
        place = _advance(keys, place, room, (np.int64(limits[i]) + beyond) << bits)
        counts[i] = place


@compiled()
def _search(block, labels, margin, rule, draws, out, scratch):  # type: ignore[no-untyped-def]  # compiled
    """Fill ``out`` with anchors, positives and negatives; return how many, the candidates and the sums of distances."""
    matrix, keys, bits = block
    starts, stops, row_items, column_items = labels
    above, below, only_farthest = rule
    anchors, positives, negatives = out
    count, pair, candidates = 0, -1, 0
    pair_sum, same_sum = 0.0, 0.0
    rows, width = matrix.shape
    near, near_bits, limit, limit_bits, lows, highs = scratch
    for row in range(rows):
        start, length = starts[row], stops[row] - starts[row]
        room = width - length
        farthest = -1
        for i in range(length):
            near[i] = matrix[row, start + i]
            same_sum += matrix[row, start + i]
            if row_items[row] != column_items[start + i]:
                pair_sum += matrix[row, start + i]
                if farthest < 0 or near[i] > near[farthest]:
                    farthest = i
            lows[i], highs[i], limit[i] = 0, room, near[i] + margin
        if above:
            _count_below(keys[row], (start, length), near_bits, bits, 1, lows)
        if below:
            _count_below(keys[row], (start, length), limit_bits, bits, 0, highs)
        for i in range(length):
            if row_items[row] == column_items[start + i]:
                continue
            pair += 1
            if only_farthest and i != farthest:
                continue
            candidates += 1
            if highs[i] <= lows[i]:
                continue
            rank = lows[i] + int(draws[pair] * (highs[i] - lows[i])) if len(draws) > 0 else lows[i]
            anchors[count], positives[count] = row, start + i
            negatives[count] = keys[row, rank] & ((1 << bits) - 1)
            count += 1
    return count, candidates, pair_sum, same_sum


@compiled()
def _slope(distance: float, squared: bool) -> float:
    """Derivative of a distance by the squared distance; 0 at a plain distance of 0, where it has none."""
    if squared:
        return 1.0
    return 0.5 / distance if distance > 0 else 0.0


@compiled()
def _weigh(matrix, triplets, keep, margin, squared, weights):  # type: ignore[no-untyped-def]  # compiled
    """Fill ``weights``; return the sum of the hinge, the active and the counted triplets."""
    anchors, positives, negatives = triplets
    value, active, counted = 0.0, 0, 0
    for i in range(len(anchors)):
        if len(keep) > 0 and not keep[i]:
            continue
        counted += 1
        near = matrix[anchors[i], positives[i]]
        far = matrix[anchors[i], negatives[i]]
        hinge = near - far + margin
        if hinge > 0:
            active += 1
            value += hinge
            weights[anchors[i], positives[i]] += _slope(near, squared)
            weights[anchors[i], negatives[i]] -= _slope(far, squared)
    return value, active, counted


@compiled()
def _sum_rows(block, labels, margin, squared, weights, scratch):  # type: ignore[no-untyped-def]  # compiled
    """Fill ``weights``; return the sum, the active and all triplets, and the sums of distances."""
    matrix, keys, bits = block
    starts, stops, row_items, column_items = labels
    value, pair_sum, same_sum = 0.0, 0.0, 0.0
    active, triplets = 0, 0
    rows, width = matrix.shape
    _, _, limit, limit_bits, counts, _ = scratch
    prefix = np.zeros(width + 1)
    ends = np.zeros(width + 1, np.int64)
    last = (1 << bits) - 1
    for row in range(rows):
        start, length = starts[row], stops[row] - starts[row]
        room = width - length
        for rank in range(room):
            prefix[rank + 1] = prefix[rank] + matrix[row, keys[row, rank] & last]
        for i in range(length):
            limit[i] = np.float32(matrix[row, start + i]) + margin
        _count_below(keys[row], (start, length), limit_bits, bits, 0, counts)
        for rank in range(width + 1):
            ends[rank] = 0
        for i in range(length):
            distance = matrix[row, start + i]
            same_sum += distance
            if row_items[row] == column_items[start + i]:
                continue
            pair_sum += distance
            value += counts[i] * (distance + np.float64(margin)) - prefix[counts[i]]
            weights[row, start + i] = counts[i] * _slope(distance, squared)
            ends[counts[i]] += 1
            active += counts[i]
            triplets += room
        # the negative of rank r is active with every pair that counts more than r negatives below its limit
        above = 0
        for rank in range(room - 1, -1, -1):
            above += ends[rank + 1]
            column = keys[row, rank] & last
            weights[row, column] = -above * _slope(matrix[row, column], squared)
    return value, active, triplets, pair_sum, same_sum
