"""The scans, compiled: rows are screened by their codes, and those that may belong to the answer are scored exactly.

Every scan keeps the k best in a heap and skips a row only if the upper bound of its score is below the k-th best so
far. With bounds that hold the answer is therefore the same for every plan and every order. Exact scores are sums in
float64 in a fixed order of additions, so that NumPy (`reference`) finds the same bits.

Arrays stand in one function as far as they can: handed to another they cost two atomic operations each.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from spaceform.compiled import compiled
from spaceform.search.filtered.scan.instructions import prefetch
from spaceform.search.filtered.scan.scoring import closeness_of, offer, sort_best

AHEAD, AHEAD_BITS = 12, 16
"""Matches whose codes of 8 bits, or of 1 bit, are fetched before their turn."""

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


@compiled(error_model="numpy")
def _dot(codes, entry, weights):  # type: ignore[no-untyped-def]
    """Multiply a row of bytes with 16-bit weights; 32 bits hold the sum."""
    total = np.int32(0)
    for j in range(len(weights)):
        total = np.int32(total + np.int32(np.int32(codes[entry, j]) * np.int32(weights[j])))
    return total


@njit(inline="always")
def _rough(lines, floats, entry, planes, numbers):  # type: ignore[no-untyped-def]
    """Bound a score by signs: add up the four-bit coordinates of the query where the row has ones."""
    base, low, step, total, doubt, pad = numbers
    words = planes.shape[1]
    a = b = c = d = np.int64(0)
    for j in range(words):
        word = lines[entry, j]
        a += _ones(word & planes[0, j])
        b += _ones(word & planes[1, j])
        c += _ones(word & planes[2, j])
        d += _ones(word & planes[3, j])
    spot = 2 * words
    signs = low * np.float64(floats[entry, spot + 2]) + step * np.float64(a + 2 * b + 4 * c + 8 * d)
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


@compiled(error_model="numpy")
def _first(reach, a, b):  # type: ignore[no-untyped-def]
    return reach[a] > reach[b] or (reach[a] == reach[b] and a < b)


@compiled(error_model="numpy")
def _settle(heap, reach, top, size):  # type: ignore[no-untyped-def]
    while True:
        best = top
        for child in (2 * top + 1, 2 * top + 2):
            if child < size and _first(reach, heap[child], heap[best]):
                best = child
        if best == top:
            return
        heap[top], heap[best] = heap[best], heap[top]
        top = best


@njit(inline="always")
def _fetch(matrix, entry, size):  # type: ignore[no-untyped-def]
    for byte in range(0, size, LINE):
        prefetch(matrix, entry, byte)


@compiled(error_model="numpy")
def score_all(metric, places, base, exact, norm, best, seen):  # type: ignore[no-untyped-def]
    """Score all of some rows."""
    rows, norms, ids = base
    scores, found, size, limit = best
    for at in range(min(2, len(places))):
        _fetch(rows, places[at], 4 * rows.shape[1])
    for at in range(len(places)):
        if at + 2 < len(places):
            _fetch(rows, places[at + 2], 4 * rows.shape[1])
        row = places[at]
        offer(metric, closeness_of(metric, exact, norm, rows, row, norms[row]), ids[row], scores, found, size, limit)
    seen[1] += len(places)


@compiled(error_model="numpy")
def scan(metric, places, bounds, base, layout, one, best, seen):  # type: ignore[no-untyped-def]
    """Compare rows by 8 bits, and score those that may be among the best; codes are fetched some rows ahead.

    ``bounds`` are those known already, or none.
    """
    rows, norms, ids = base
    level, codes, error = layout[:3]
    exact, weights, (norm, scale, offset, slack, pad) = one
    scores, found, size, limit = best
    wide, known = codes.shape[1], len(bounds) > 0
    for entry in places[:AHEAD]:
        _fetch(codes, entry, wide)
    for at in range(len(places)):
        if at + AHEAD < len(places):
            _fetch(codes, places[at + AHEAD], wide)
        if known and bounds[at] < limit[0]:
            continue
        entry = places[at]
        bound = offset + scale * np.float64(_dot(codes, entry, weights)) + level[entry]
        if bound + (slack * np.float64(error[entry]) + pad) >= limit[0]:
            seen[1] += 1
            close = closeness_of(metric, exact, norm, rows, entry, norms[entry])
            offer(metric, close, ids[entry], scores, found, size, limit)


@compiled(error_model="numpy")
def scan_bits(metric, places, base, layout, signs, one, best, seen):  # type: ignore[no-untyped-def]
    """Bound all matches by signs; score the most promising; then compare those whose bounds reach the k-th best."""
    lines, floats, planes, numbers = signs
    n, wide = len(places), 8 * lines.shape[1]
    looked = min(n, LOOKED * len(best[0]))
    bounds, high, who = np.empty(n), np.empty(looked), np.empty(looked, np.int64)
    size, limit, least = np.zeros(1, np.int64), np.full(1, -np.inf), -np.inf
    for entry in places[:AHEAD_BITS]:
        _fetch(lines, entry, wide)
    for at in range(n):
        if at + AHEAD_BITS < n:
            _fetch(lines, places[at + AHEAD_BITS], wide)
        bound = _rough(lines, floats, places[at], planes, numbers)
        bounds[at] = bound
        if bound >= least:
            offer(0, bound, at, high, who, size, limit)
            least = limit[0]
    sort_best(high, who, looked)
    scan(metric, places[who], high, base, layout, one, best, seen)
    bounds[who] = np.nan
    left = np.flatnonzero(bounds >= best[3][0])
    scan(metric, places[left], bounds[left], base, layout, one, best, seen)


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
def scan_cells(metric, words, cells, base, layout, signs, one, best, seen):  # type: ignore[no-untyped-def]
    """Open cells, the most promising first, until none can hold a row that belongs to the answer.

    ``cells`` holds the starts, the bound of each, the matches in each, and the positions in the base where rows are
    those of a private list (else none). Rows are bounded by signs where ``signs`` has planes.
    """
    starts, reach, counts, where = cells
    lines, floats, planes, numbers = signs
    rows, norms, ids = base
    level, codes, error = layout[:3]
    exact, weights, (norm, scale, offset, slack, pad) = one
    scores, found, size, limit = best
    private, by_signs, wide = len(where) > 0, planes.shape[1] > 0, 8 * lines.shape[1]
    heap = np.flatnonzero(counts)
    left = len(heap)
    largest = 0
    for cell in heap:
        largest = max(largest, starts[cell + 1] - starts[cell])
    entries = np.empty(largest, np.int32)
    for top in range(left // 2 - 1, -1, -1):
        _settle(heap, reach, top, left)
    while left > 0 and reach[heap[0]] >= limit[0]:
        cell = heap[0]
        left -= 1
        heap[0] = heap[left]
        _settle(heap, reach, 0, left)
        n = _matches_of(words, starts[cell], starts[cell + 1], where, private, entries)
        seen[0] += n
        if by_signs:
            for at in range(min(AHEAD_BITS, n)):
                _fetch(lines, entries[at], wide)
        for at in range(n):
            entry = entries[at]
            if by_signs:
                if at + AHEAD_BITS < n:
                    _fetch(lines, entries[at + AHEAD_BITS], wide)
                if _rough(lines, floats, entry, planes, numbers) < limit[0]:
                    continue
            bound = offset + scale * np.float64(_dot(codes, entry, weights)) + level[entry]
            if bound + (slack * np.float64(error[entry]) + pad) >= limit[0]:
                seen[1] += 1
                row = where[entry] if private else entry
                close = closeness_of(metric, exact, norm, rows, row, norms[row])
                offer(metric, close, ids[row], scores, found, size, limit)


@compiled(error_model="numpy")
def _matches_of(words, start, stop, where, private, entries):  # type: ignore[no-untyped-def]
    """Fill ``entries`` with those from ``start`` to ``stop`` that pass, and return their number."""
    zero, unit, mask = np.uint64(0), np.uint64(1), np.uint64(63)
    n = 0
    if private:
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
