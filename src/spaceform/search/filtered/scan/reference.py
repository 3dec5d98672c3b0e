"""The scans of `kernels` in NumPy: the same rows screened, skipped and scored in the same order, the same bits."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.layout import METRICS, Base, Layout, lane_sum
from spaceform.search.filtered.scan.plans import (
    BITS,
    CELLS,
    COUNTED,
    ENOUGH,
    FEW,
    LOOKED,
    NEAR,
    OPENED,
    PRIVATE,
    SCAN,
    SPENT,
    STEPS,
    SURELY,
)
from spaceform.search.filtered.scan.queries import (
    PLANES,
    Asked,
    bounds_of_products,
    encode,
    with_cells,
    with_planes,
)
from spaceform.types import BoolArray, FloatArray, IntArray


class Best:
    """The k best so far of one query, and the score that an upper bound must reach."""

    def __init__(self, k: int, metric: int) -> None:
        self.heap: list[tuple[float, int]] = []
        self.k, self.metric, self.limit = k, metric, -np.inf

    def offer(self, closeness: float, row: int) -> None:
        """Put a row among the best; ties go to the lower id."""
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
    metric, wanted, (words, counts, _), base, layout, queries, first, last, outputs = arguments
    base, layout = Base(*base), Layout(*layout)
    scores, ids, seen, told = outputs
    bit_share = wanted[10]
    name = METRICS[metric]
    scores[first:last], ids[first:last], seen[first:last], told[first:last] = -np.inf, -1, 0, np.inf
    for i in range(first, last):
        one = encode(queries[i : i + 1], layout, name, share=wanted[9])
        plan = wanted[0] if wanted[0] != -1 else wanted[1]
        if wanted[0] in (-1, CELLS, PRIVATE):
            plan, one = _with_cells((*wanted, name), one, counts=counts, layout=layout, out=(told[i], scores.shape[1]))
        told[i, 0] = plan
        if plan < 0:
            continue
        if plan in (BITS, CELLS, PRIVATE) and bit_share < 1 and len(layout.lines):
            one = with_planes(one, layout, name, share=bit_share)
        best = Best(scores.shape[1], metric)
        matches = words, counts
        _search(plan, matches, (base, layout, one), best=best, seen=seen[i : i + 1])
        found = sorted(best.heap, reverse=True)
        scores[i, : len(found)] = [closeness for closeness, _ in found]
        ids[i, : len(found)] = [-row for _, row in found]


def cell_counts(words: bitmaps.Words, starts: IntArray) -> IntArray:
    """Return how many rows of a set lie in each range ``starts[i]`` to ``starts[i + 1]``."""
    passing = np.cumsum(bitmaps.unpack(words, int(starts[-1])))
    return np.diff(np.append(0, passing)[starts])


def multiply(*arguments: Any) -> None:
    """Do what `batches.many.multiply` does; which rows are scored depends on how float32 is rounded, answers do not."""
    metric, places, base, layout, queries, outputs = arguments
    base, layout = Base(*base), Layout(*layout)
    scores, ids, sizes, seen = outputs
    seen[:, 0] += len(places)
    for i in range(len(queries)):
        one = encode(queries[i : i + 1], layout, METRICS[metric], share=1.0)
        best, data = Best(scores.shape[1], metric), (base, layout, one)
        bounds = bounds_of_products(one, places, base=base, layout=layout, metric=METRICS[metric])
        first = np.argsort(-bounds, kind="stable")[: best.k]
        everything = np.full(len(places), np.inf)
        score(places[first], everything[first], base.ids, data=data, best=best, seen=seen[i : i + 1])
        bounds[first] = np.nan
        left = bounds >= best.limit
        score(places[left], everything[left], base.ids, data=data, best=best, seen=seen[i : i + 1])
        sizes[i] = len(best.heap)
        scores[i, : sizes[i]] = [closeness for closeness, _ in best.heap]
        ids[i, : sizes[i]] = [-row for _, row in best.heap]


def join(parts: Any, scores: FloatArray, ids: IntArray, seen: IntArray) -> None:
    """Do what `batches.many.join` does."""
    many_scores, many_ids, sizes, many_seen = parts
    scores[:], ids[:], seen[:] = -np.inf, -1, many_seen.sum(axis=0)
    for i in range(len(scores)):
        held = [(part, at) for part in range(len(sizes)) for at in range(sizes[part, i])]
        found = sorted(((many_scores[part, i, at], -many_ids[part, i, at]) for part, at in held), reverse=True)
        found = found[: scores.shape[1]]
        scores[i, : len(found)] = [closeness for closeness, _ in found]
        ids[i, : len(found)] = [-row for _, row in found]


def _with_cells(
    wanted: Any, one: Asked, *, counts: IntArray, layout: Layout, out: tuple[FloatArray, int]
) -> tuple[int, Asked]:
    """Return the plan of a query, and the query with the bounds of the cells."""
    plan, other, other_seconds, near, far, density, everything, beginning, each, _, _, at, seconds, name = wanted
    local, n, (told, k) = 1.0, layout.starts[-1], out
    centred = with_cells(one, layout, name, gamma=near)
    if plan == -1 or (plan == CELLS and near != far):
        local = float(local_density(centred.reach[0], counts, layout.starts))
    if local < density and near != far:
        centred = with_cells(one, layout, name, gamma=far)
    if plan != -1:
        return plan, centred
    thin = local < max(density / 2, 1 / n)
    cost = everything if thin else min(everything, float(np.interp(local * n, at, seconds)))
    enough = SURELY * other_seconds
    if thin or enough <= cost < other_seconds:
        middles = with_cells(one, layout, name, gamma=0.0).reach[0]
        middles = middles - layout.radius**2 if name == "euclidean" else middles
        counted = beginning + each * rows_behind(k, middles, centred.reach[0], counts)
        cost = counted if thin else max(cost, counted)
        enough = COUNTED * other_seconds + SPENT * beginning
    told[1] = cost
    return CELLS if cost < enough else other, centred


def rows_behind(k: int, middles: FloatArray, reach: FloatArray, counts: IntArray) -> int:
    """Return how many matches lie in the cells that will be opened, as `asking` does."""
    cells = _promising(reach, counts)
    before = np.cumsum(counts[cells]) - counts[cells]
    limit = middles[cells[before < ENOUGH * k]].min(initial=np.inf)
    return int(counts[cells[reach[cells] >= limit]].sum())


def _search(
    plan: int, matches: tuple[bitmaps.Words, IntArray], data: tuple[Base, Layout, Asked], *,
    best: Best, seen: IntArray,
) -> None:  # fmt: skip
    """Look for the best of one query as `kernels` does."""
    (words, counts), (base, layout, asked) = matches, data
    passing = bitmaps.unpack(words, len(base.ids))
    by_signs = asked.planes.shape[2] > 0
    if plan in (SCAN, BITS):
        inside = np.flatnonzero(passing)
        if plan == SCAN and len(inside) <= FEW:
            return score(inside, np.full(len(inside), np.inf), base.ids, data=data, best=best, seen=seen)
        seen[0, 0] += len(inside)
        if plan == BITS and by_signs:
            return _two_passes(inside, by_bits(inside, data=data), data=data, best=best, seen=seen)
        return _take((inside, inside), np.full(len(inside), np.inf), data=data, best=best, seen=seen)
    for entries in _opened(passing, counts, layout, asked.reach[0], private=plan == PRIVATE, best=best):
        places: NDArray[np.integer] = layout.where[entries] if plan == PRIVATE else entries
        seen[0, 0] += len(entries)
        rough = by_bits(entries, data=data) if by_signs else np.full(len(entries), np.inf)
        _take((entries, places), rough, data=data, best=best, seen=seen)
    return None


def _opened(
    passing: BoolArray, counts: IntArray, layout: Layout, reach: FloatArray, *, private: bool, best: Best
) -> Iterator[IntArray]:
    """Yield the matches that are compared together, from the most promising cells on."""
    waiting: list[IntArray] = []
    for cell in _promising(reach, counts).tolist():
        if reach[cell] >= best.limit:
            entries = np.arange(layout.starts[cell], layout.starts[cell + 1])
            waiting.append(entries[passing[layout.where[entries] if private else entries]])
        if sum(map(len, waiting)) >= OPENED:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _promising(reach: FloatArray, counts: IntArray) -> IntArray:
    """Return the cells with matches, by `STEPS` steps of their bounds from the highest on."""
    cells = np.flatnonzero(counts)
    high = reach[cells].max(initial=-np.inf)
    width = high - reach[cells].min(initial=np.inf)
    scale = (STEPS - 1) / width if 0 < width < np.inf else 0.0
    steps = ((high - reach[cells]) * scale).astype(np.int64) if scale > 0 else np.zeros(len(cells))
    return cells[np.argsort(steps, kind="stable")]


def local_density(reach: FloatArray, counts: IntArray, starts: IntArray) -> float:
    """Return the share of rows that match in the cells of largest reach; ties go to the first."""
    nearest = np.argsort(-reach, kind="stable")[:NEAR]
    return float(counts[nearest].sum() / max(1, (starts[nearest + 1] - starts[nearest]).sum()))


def _two_passes(
    places: IntArray, bounds: FloatArray, *, data: tuple[Base, Layout, Asked], best: Best, seen: IntArray
) -> None:
    """Score the rows of the highest bounds; then those whose bounds reach the k-th best."""
    first = np.argsort(-bounds, kind="stable")[: LOOKED * best.k]
    score(places[first], np.full(len(first), np.inf), data[0].ids, data=data, best=best, seen=seen)
    bounds[first] = np.nan
    left = np.flatnonzero(bounds >= best.limit)
    _take((places[left], places[left]), bounds[left], data=data, best=best, seen=seen)


def _take(
    found: tuple[IntArray, NDArray[np.integer]],
    rough: FloatArray,
    *,
    data: tuple[Base, Layout, Asked],
    best: Best,
    seen: IntArray,
) -> None:
    """Offer rows (entries, and their positions) one after the other, as far as their bounds let them through."""
    entries, places = found
    bounds = np.minimum(rough, by_bytes(entries, data=data))
    kept = bounds >= best.limit
    score(places[kept], bounds[kept], data[0].ids, data=data, best=best, seen=seen)


def score(
    places: NDArray[np.integer], bounds: FloatArray, ids: IntArray, *, data: tuple[Base, Layout, Asked], best: Best,
    seen: IntArray,
) -> None:  # fmt: skip
    """Score rows exactly whose bounds reach the k-th best."""
    closeness = exactly(best.metric, places, data=data)
    for bound, close, row in zip(bounds.tolist(), closeness.tolist(), ids[places].tolist(), strict=True):
        if bound >= best.limit:
            seen[0, 1] += 1
            best.offer(close, row)


def by_bytes(entries: IntArray, *, data: tuple[Base, Layout, Asked]) -> FloatArray:
    """Return upper bounds of scores by 8-bit codes."""
    _, layout, asked = data
    products = layout.codes[entries].astype(np.float64) @ asked.weights[0].astype(np.float64)  # integers: no rounding
    scores = asked.offset[0] + asked.scale[0] * products + layout.level[entries]
    return scores + (asked.slack[0] * layout.error[entries].astype(np.float64) + asked.pad[0])


def by_bits(entries: IntArray, *, data: tuple[Base, Layout, Asked]) -> FloatArray:
    """Return upper bounds of scores by 1-bit codes."""
    _, layout, asked = data
    size = asked.planes.shape[2]
    lines = layout.lines[entries]
    factor, deviation, ones, level = lines[:, size : size + 2].copy().view(np.float32).astype(np.float64).T
    total = np.zeros(len(entries), dtype=np.int64)
    for b in range(PLANES):
        common = lines[:, :size] & asked.planes[0, b]
        total += bitmaps.ones(common.reshape(-1)).reshape(common.shape).sum(axis=1) << b
    signs = 2 * (asked.low[0] * ones + asked.step[0] * total) - asked.total[0]
    scores = asked.base[0] + factor * signs + level
    return scores + (asked.doubt[0] * deviation + asked.pad[0])


def exactly(metric: int, places: NDArray[np.integer], *, data: tuple[Base, Layout, Asked]) -> FloatArray:
    """Return the closeness of rows in float64."""
    base, _, asked = data
    rows = base.rows[places].astype(np.float64)
    if metric == 1:
        return 0.0 - np.sqrt(lane_sum((asked.exact[0] - rows) ** 2))
    total = lane_sum(rows * asked.exact[0])
    return np.clip(total / (asked.norms[0] * base.norms[places]), -1.0, 1.0) if metric == 0 else total
