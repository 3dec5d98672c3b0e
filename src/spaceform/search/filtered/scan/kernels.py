"""The scans, compiled: rows are screened by their codes, and those that may belong to the answer are scored exactly.

Every scan keeps the k best in a heap and skips a row only if the upper bound of its score is below the k-th best so
far. With bounds that hold the answer is therefore the same for every plan and every order. Exact scores are sums in
float64 in a fixed order of additions, so that NumPy (`reference`) finds the same bits.

Arrays are made by those that ask; the innermost functions neither make any nor count references to them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from spaceform.compiled import compiled
from spaceform.search.filtered.scan.instructions import ones_in_common, prefetch, weighed
from spaceform.search.filtered.scan.scoring import closeness_of, offer

AHEAD = 16
"""Matches whose records of signs are fetched before their turn."""

WAITING = 32
"""Rows that wait for their codes, or for their coordinates, while others are compared."""

LINE = 64
"""Bytes of a line of cache."""

FEW = 64
"""So many rows are scored at once: to screen them takes no less."""

LOOKED = 4
"""Times k rows are scored first when all bounds are known, those of the highest."""

SCAN, BITS, CELLS, PRIVATE, PRODUCT = range(5)
"""What to do: all matches by 8 bits; by 1 bit first; the most promising cells; the same over a private list; all
matches by a matrix product."""


@njit(inline="always")
def _ones(x):  # type: ignore[no-untyped-def]  # compiled; the compiler knows this as one instruction
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(inline="always")
def _rough(lines, floats, entry, planes, numbers):  # type: ignore[no-untyped-def]
    """Bound a score by signs: add up the four-bit coordinates of the query where the row has ones."""
    base, low, step, total, doubt, pad = numbers
    spot = 2 * planes.shape[1]
    common = np.float64(ones_in_common(lines, entry, planes))
    signs = low * np.float64(floats[entry, spot + 2]) + step * common
    bound = base + np.float64(floats[entry, spot]) * (2 * signs - total) + np.float64(floats[entry, spot + 3])
    return bound + (doubt * np.float64(floats[entry, spot + 1]) + pad)


@compiled(error_model="numpy")
def positions(words, stop):  # type: ignore[no-untyped-def]
    """Return the positions of the bits that are set."""
    unit, total = np.uint64(1), 0
    for w in range((stop + 63) // 64):
        total += _ones(words[w])
    places, n = np.empty(total, np.int32), 0
    for w in range((stop + 63) // 64):
        word = words[w]
        while word != np.uint64(0):
            places[n] = 64 * w + _ones((word & (~word + unit)) - unit)
            word &= word - unit
            n += 1
    return places


@compiled(error_model="numpy", counted=False)
def _first(reach, a, b):  # type: ignore[no-untyped-def]
    return reach[a] > reach[b] or (reach[a] == reach[b] and a < b)


@compiled(error_model="numpy", counted=False)
def _settle(heap, reach, top, size):  # type: ignore[no-untyped-def]
    while True:
        best, left, right = top, 2 * top + 1, 2 * top + 2
        if left < size and _first(reach, heap[left], heap[best]):
            best = left
        if right < size and _first(reach, heap[right], heap[best]):
            best = right
        if best == top:
            return
        heap[top], heap[best] = heap[best], heap[top]
        top = best


@njit(inline="always")
def _fetch(matrix, entry, size):  # type: ignore[no-untyped-def]
    for byte in range(0, size, LINE):
        prefetch(matrix, entry, byte)


@compiled(error_model="numpy", counted=False)
def score_all(metric, places, base, exact, norm, best, seen):  # type: ignore[no-untyped-def]
    """Score all of some rows."""
    rows, norms, ids = base
    scores, found, size, limit = best
    wide = 4 * rows.shape[1]
    for at in range(min(2, len(places))):
        _fetch(rows, places[at], wide)
    for at in range(len(places)):
        if at + 2 < len(places):
            _fetch(rows, places[at + 2], wide)
        row = places[at]
        offer(metric, closeness_of(metric, exact, norm, rows, row, norms[row]), ids[row], scores, found, size, limit)
    seen[1] += len(places)


@compiled(error_model="numpy", counted=False)
def bound_by_signs(places, n, signs, bounds):  # type: ignore[no-untyped-def]
    """Fill the bounds by signs of the first ``n`` rows; records are fetched some rows ahead."""
    lines, floats, planes, numbers = signs
    wide = 8 * lines.shape[1]
    for at in range(min(AHEAD, n)):
        _fetch(lines, places[at], wide)
    for at in range(n):
        if at + AHEAD < n:
            _fetch(lines, places[at + AHEAD], wide)
        bounds[at] = _rough(lines, floats, places[at], planes, numbers)


@compiled(error_model="numpy", counted=False)
def scan(metric, places, n, bounds, where, base, layout, one, best, seen, room):  # type: ignore[no-untyped-def]
    """Compare the first ``n`` rows by 8 bits, and score those that may be among the best.

    ``bounds`` are those known already, or none; ``where`` holds the positions in the base, or none where they are the
    same. Rows wait in ``room`` while what is needed of them is fetched, first codes, then coordinates; each is looked
    at again before it is scored, so that the same ones are as if none had waited.
    """
    rows, norms, ids = base
    level, codes, error = layout[:3]
    exact, weights, (norm, scale, offset, slack, pad) = one
    scores, found, size, limit = best
    waiting, reached = room
    known, private = len(bounds) > 0, len(where) > 0
    wide = codes.shape[1]
    for at in range(0 if known else min(WAITING, n)):
        _fetch(codes, places[at], wide)
    at = 0
    while at < n:
        many, least = 0, limit[0]
        while at < n and many < WAITING:
            if not known or bounds[at] >= least:
                ahead = at if known else at + WAITING
                if ahead < n:
                    _fetch(codes, places[ahead], wide)
                waiting[many] = at
                many += 1
            at += 1
        left = 0
        for i in range(many):
            entry = places[waiting[i]]
            bound = offset + scale * np.float64(weighed(codes, entry, weights)) + level[entry]
            bound = bound + (slack * np.float64(error[entry]) + pad)
            if known:
                bound = min(bound, bounds[waiting[i]])
            if bound >= least:
                row = where[entry] if private else entry
                _fetch(rows, row, 4 * rows.shape[1])
                waiting[left], reached[left] = row, bound
                left += 1
        for i in range(left):
            if reached[i] >= limit[0]:
                seen[1] += 1
                row = waiting[i]
                close = closeness_of(metric, exact, norm, rows, row, norms[row])
                offer(metric, close, ids[row], scores, found, size, limit)


@compiled(error_model="numpy")
def scan_bits(metric, places, where, base, layout, signs, one, best, seen, room):  # type: ignore[no-untyped-def]
    """Bound all matches by signs; score the most promising; then compare those whose bounds reach the k-th best."""
    n = len(places)
    looked = min(n, LOOKED * len(best[0]))
    bounds, high, who = np.empty(n), np.empty(looked), np.empty(looked, np.int64)
    size, limit = np.zeros(1, np.int64), np.full(1, -np.inf)
    bound_by_signs(places, n, signs, bounds)
    for at in range(n):
        if bounds[at] >= limit[0]:
            offer(0, bounds[at], at, high, who, size, limit)
    score_all(metric, places[who], base, one[0], one[2][0], best, seen)
    for at in who:
        bounds[at] = np.nan
    scan(metric, places, n, bounds, where, base, layout, one, best, seen, room)


@compiled(error_model="numpy")
def scan_products(metric, places, products, query, base, level, best, seen):  # type: ignore[no-untyped-def]
    """Do the same with products in float32 of the query and all matches, which err by little: k rows are enough."""
    exact, norm, start, lost, pad = query
    norms = base[1]
    n, looked = len(places), min(len(places), len(best[0]))
    bounds, high, who = np.empty(n), np.empty(looked), np.empty(looked, np.int64)
    size, limit, least = np.zeros(1, np.int64), np.full(1, -np.inf), -np.inf
    for at in range(n):
        length = norms[places[at]]
        product = np.float64(products[at]) + lost * length
        bound = (start + (product / length if metric == 0 else product)) + (level[places[at]] + pad)
        bounds[at] = bound
        if bound >= least:
            offer(0, bound, at, high, who, size, limit)
            least = limit[0]
    score_all(metric, places[who], base, exact, norm, best, seen)
    bounds[who] = np.nan
    score_all(metric, places[bounds >= best[3][0]], base, exact, norm, best, seen)


@compiled(error_model="numpy")
def scan_cells(metric, words, cells, base, layout, signs, one, best, seen, room):  # type: ignore[no-untyped-def]
    """Open cells, the most promising first, until none can hold a row that belongs to the answer.

    ``cells`` holds the starts, the bound of each, the matches in each, and the positions in the base where rows are
    those of a private list (else none). Rows are bounded by signs where ``signs`` has planes.
    """
    starts, reach, counts, where = cells
    limit, by_signs = best[3], signs[2].shape[1] > 0
    heap = np.flatnonzero(counts)
    left = len(heap)
    largest = 0
    for cell in heap:
        largest = max(largest, starts[cell + 1] - starts[cell])
    entries, bounds = np.empty(largest, np.int32), np.empty(largest if by_signs else 0)
    for top in range(left // 2 - 1, -1, -1):
        _settle(heap, reach, top, left)
    while left > 0 and reach[heap[0]] >= limit[0]:
        cell = heap[0]
        left -= 1
        heap[0] = heap[left]
        _settle(heap, reach, 0, left)
        if by_signs and left:
            for entry in range(starts[heap[0]], min(starts[heap[0]] + AHEAD, starts[heap[0] + 1])):
                _fetch(signs[0], entry, 8 * signs[0].shape[1])
        n = _matches_of(words, starts[cell], starts[cell + 1], where, entries)
        seen[0] += n
        if by_signs:
            bound_by_signs(entries, n, signs, bounds)
        scan(metric, entries, n, bounds, where, base, layout, one, best, seen, room)


@compiled(error_model="numpy", counted=False)
def _matches_of(words, start, stop, where, entries):  # type: ignore[no-untyped-def]
    """Fill ``entries`` with those from ``start`` to ``stop`` that pass, and return their number."""
    zero, unit, mask = np.uint64(0), np.uint64(1), np.uint64(63)
    n = 0
    if len(where):

        for entry in range(start, stop):
            place = np.uint64(where[entry])
            if (words[place >> np.uint64(6)] >> (place & mask)) & unit:
                entries[n] = entry
                n += 1
        return n
    for w in range(start // 64, (stop + 63) // 64):
        word = words[w]
        if 64 * w < start:
            word &= ~zero << np.uint64(start - 64 * w)
        if 64 * w + 64 > stop:
            word &= ~zero >> np.uint64(64 * w + 64 - stop)
        while word != zero:
            entries[n] = 64 * w + _ones((word & (~word + unit)) - unit)
            word &= word - unit
            n += 1
    return n
