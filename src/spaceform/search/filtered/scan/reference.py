"""The scans of `kernels` in NumPy: the same rows screened, skipped and scored in the same order, the same bits."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.asking import NEAR
from spaceform.search.filtered.scan.kernels import BITS, CELLS, PRIVATE, SCAN
from spaceform.search.filtered.scan.layout import METRICS, Base, Layout, lane_sum
from spaceform.search.filtered.scan.queries import PLANES, Asked, encode, with_products, with_quarters
from spaceform.types import FloatArray, IntArray


class _Best:
    """The k best so far of one query, and the score that an upper bound must reach."""

    def __init__(self, k: int, metric: int) -> None:
        self.heap: list[tuple[float, int]] = []
        self.k, self.metric, self.limit = k, metric, -np.inf

    def offer(self, closeness: float, row: int) -> None:
        entry = (closeness, -row)
        if len(self.heap) < self.k:
            heapq.heappush(self.heap, entry)
        elif entry > self.heap[0]:
            heapq.heapreplace(self.heap, entry)
        if len(self.heap) == self.k:
            worst = self.heap[0][0]
            self.limit = -worst * worst * (1 + 1e-12) if self.metric == 1 else worst


def ask(*arguments: Any) -> None:
    """Do what `asking.ask` does, given what it is given, in its order."""
    metric, wanted, words, counts, base, layout, asked, first, last, outputs = arguments
    scores, ids, seen, told = outputs
    forced, other, other_seconds, near, far, density, everything, share, bit_share, at, seconds = wanted
    queries, norms, products, turned = asked
    name = METRICS[metric]
    for i in range(first, last):
        plan, local, gamma = forced, 1.0, near
        one = encode(queries[i : i + 1], norms[i : i + 1], layout, name, share=share)
        if products.shape[1]:
            centred = with_products(one, products[i : i + 1], layout, name, gamma=near)
            if plan == -1 or (plan == CELLS and near != far):
                local = float(local_density(centred.reach[0], counts, layout.starts))
            if plan == -1:
                n, cells = len(layout.error), everything
                if local >= max(density / 2, 1 / n):
                    cells = min(everything, float(np.interp(local * n, at, seconds)))
                told[i, 1] = cells
                plan = CELLS if cells < other_seconds else other
            if plan == CELLS and local < density:
                gamma = far
            one = with_products(one, products[i : i + 1], layout, name, gamma=gamma)
        told[i, 0] = plan
        if plan < 0:
            continue
        if plan == BITS:
            one = with_quarters(one, turned[i : i + 1], share=bit_share)
        best = _Best(scores.shape[1], metric)
        _search(plan, (words, counts), (base, layout, one), best=best, seen=seen[i : i + 1])
        found = sorted(best.heap, reverse=True)
        scores[i, : len(found)] = [closeness for closeness, _ in found]
        ids[i, : len(found)] = [-row for _, row in found]


def _search(
    plan: int, matches: tuple[bitmaps.Words, IntArray], data: tuple[Base, Layout, Asked], *, best: _Best, seen: IntArray
) -> None:
    """Look for the best of one query as `kernels` does: cell by cell, or, for a scan, in one range over all cells."""
    (words, counts), (base, layout, asked) = matches, data
    passing = bitmaps.unpack(words, len(base.ids))
    starts, ordered = layout.starts, np.flatnonzero(counts)
    if plan == SCAN:
        starts, ordered = starts[[0, -1]], np.zeros(1, np.int64)
    promising = plan in (CELLS, PRIVATE)
    if promising:
        ordered = ordered[np.argsort(-asked.reach[0, ordered], kind="stable")]
    for cell in ordered.tolist():
        if promising and asked.reach[0, cell] < best.limit:
            break
        entries = np.arange(starts[cell], starts[cell + 1])
        places = layout.where[entries] if plan == PRIVATE else entries
        kept = passing[places]
        entries, places = entries[kept], places[kept]
        seen[0, 0] += len(entries)
        _take(plan, 0, (entries, places), cell=cell, data=data, best=best, seen=seen)


def local_density(reach: FloatArray, counts: IntArray, starts: IntArray) -> float:
    """Return the share of rows that match in the cells of largest reach; ties go to the first."""
    nearest = np.argsort(-reach, kind="stable")[:NEAR]
    return float(counts[nearest].sum() / max(1, (starts[nearest + 1] - starts[nearest]).sum()))


def _take(
    plan: int,
    i: int,
    found: tuple[IntArray, NDArray[np.integer]],
    *,
    cell: int,
    data: tuple[Base, Layout, Asked],
    best: _Best,
    seen: IntArray,
) -> None:
    """Offer the matches of a cell one after the other, as far as their bounds let them through."""
    base = data[0]
    entries, places = found
    if plan == BITS:
        rough = by_bits(i, entries, cell, data=data)
        kept = rough >= best.limit
        entries, places, rough = entries[kept], places[kept], rough[kept]
    else:
        rough = np.full(len(entries), np.inf)
    bounds = np.minimum(rough, by_bytes(i, entries, data=data))
    kept = bounds >= best.limit
    places, bounds = places[kept], bounds[kept]
    closeness = exactly(best.metric, i, places, data=data)
    for bound, close, row in zip(bounds.tolist(), closeness.tolist(), base.ids[places].tolist(), strict=True):
        if bound >= best.limit:
            seen[i, 1] += 1
            best.offer(close, row)


def by_bytes(i: int, entries: IntArray, *, data: tuple[Base, Layout, Asked]) -> FloatArray:
    """Return upper bounds of scores by 8-bit codes."""
    _, layout, asked = data
    products = layout.codes[entries].astype(np.float64) @ asked.weights[i].astype(np.float64)  # integers: no rounding
    scores = asked.offset[i] + asked.scale[i] * products + layout.level[entries]
    return scores + (asked.slack[i] * layout.error[entries].astype(np.float64) + asked.pad[i])


def by_bits(i: int, entries: IntArray, cell: int, *, data: tuple[Base, Layout, Asked]) -> FloatArray:
    """Return upper bounds of scores by 1-bit codes."""
    _, layout, asked = data
    total = np.zeros(len(entries), dtype=np.int64)
    for b in range(PLANES):
        common = layout.bits[entries] & asked.planes[i, b]
        total += bitmaps.ones(common.reshape(-1)).reshape(common.shape).sum(axis=1) << b
    signs = 2 * (asked.low[i] * layout.ones[entries] + asked.step[i] * total) - asked.total[i]
    scores = asked.cells[i, cell] + layout.factor[entries].astype(np.float64) * signs + layout.level[entries]
    return scores + (asked.doubt[i] * layout.deviation[entries].astype(np.float64) + asked.pad[i])


def exactly(metric: int, i: int, places: NDArray[np.integer], *, data: tuple[Base, Layout, Asked]) -> FloatArray:
    """Return the closeness of rows in float64."""
    base, _, asked = data
    rows = base.rows[places].astype(np.float64)
    if metric == 1:
        return 0.0 - np.sqrt(lane_sum((asked.exact[i] - rows) ** 2))
    total = lane_sum(rows * asked.exact[i])
    return np.clip(total / (asked.norms[i] * base.norms[places]), -1.0, 1.0) if metric == 0 else total
