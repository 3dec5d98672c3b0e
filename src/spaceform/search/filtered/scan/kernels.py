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
from spaceform.search.filtered.scan.plans import LOOKED, OPENED, STEPS
from spaceform.search.filtered.scan.scoring import closeness_of, offer

AHEAD = 16
"""Matches whose records of signs are fetched before their turn."""

BLOCK = 32
"""Rows that share the highest of their bounds: if it does not suffice, none of them does."""

WAITING = 32
"""Rows that wait for their codes, or for their coordinates, while others are compared."""

LINE = 64
"""Bytes of a line of cache."""


@njit(inline="always")
def ones_of(x):  # type: ignore[no-untyped-def]  # compiled
    """Count the bits of a word; the compiler knows this as one instruction."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(inline="always")
def has(words, row):  # type: ignore[no-untyped-def]
    """Return the bit of a row in a set, 0 or 1."""
    place = np.uint64(row)
    return (words[place >> np.uint64(6)] >> (place & np.uint64(63))) & np.uint64(1)


@njit(inline="always")
def word_between(words, w, start, stop):  # type: ignore[no-untyped-def]
    """Return word ``w`` with its bits from ``start`` to before ``stop`` only."""
    word, everything = words[w], ~np.uint64(0)
    if 64 * w < start:
        word &= everything << np.uint64(start - 64 * w)
    if 64 * w + 64 > stop:
        word &= everything >> np.uint64(64 * w + 64 - stop)
    return word


@njit(inline="always")
def ones_between(words, start, stop):  # type: ignore[no-untyped-def]
    """Count the bits from ``start`` to before ``stop``."""
    total = 0
    for w in range(start // 64, (stop + 63) // 64):
        total += ones_of(word_between(words, w, start, stop))
    return total


@njit(inline="always")
def _rough(lines, floats, entry, planes, numbers):  # type: ignore[no-untyped-def]
    """Bound a score by signs: add up the rounded coordinates of the query where the row has ones."""
    base, low, step, total, doubt, pad, spot = numbers
    row, at, one = np.uint64(entry), np.uint64(spot), np.uint64(1)  # that no index is negative saves instructions
    common = np.float64(ones_in_common(lines, entry, planes))
    factor, deviation = np.float64(floats[row, at]), np.float64(floats[row, at + one])
    ones, level = np.float64(floats[row, at + one + one]), np.float64(floats[row, at + one + one + one])
    bound = base + factor * (2 * (low * ones + step * common) - total) + level
    return bound + (doubt * deviation + pad)


@compiled(error_model="numpy")
def positions(words, stop):  # type: ignore[no-untyped-def]
    """Return the positions of the bits that are set."""
    unit, total = np.uint64(1), 0
    for w in range((stop + 63) // 64):
        total += ones_of(words[w])
    places, n = np.empty(total, np.int32), 0
    for w in range((stop + 63) // 64):
        word = words[w]
        while word != np.uint64(0):
            places[n] = 64 * w + ones_of((word & (~word + unit)) - unit)
            word &= word - unit
            n += 1
    return places


@njit(inline="always")
def fetch_row(matrix, entry, size):  # type: ignore[no-untyped-def]
    """Fetch ``size`` bytes of a row of a matrix before they are needed."""
    prefetch(matrix, entry, 0)
    if size > LINE:
        for byte in range(LINE, size, LINE):
            prefetch(matrix, entry, byte)


@compiled(error_model="numpy", counted=False)
def score_all(metric, places, base, exact, norm, best, seen):  # type: ignore[no-untyped-def]
    """Score all of some rows."""
    rows, norms, ids = base
    scores, found, size, limit = best
    wide = 4 * rows.shape[1]
    for at in range(min(2, len(places))):
        fetch_row(rows, places[at], wide)
    for at in range(len(places)):
        if at + 2 < len(places):
            fetch_row(rows, places[at + 2], wide)
        row = places[at]
        offer(metric, closeness_of(metric, exact, norm, rows, row, norms[row]), ids[row], scores, found, size, limit)
    seen[1] += len(places)


@compiled(error_model="numpy", counted=False)
def bound_by_signs(places, n, signs, bounds):  # type: ignore[no-untyped-def]
    """Fill the bounds by signs of the first ``n`` rows, and the highest of every `BLOCK`; records are fetched ahead."""
    lines, floats, planes, numbers = signs
    each, highest = bounds
    wide = 8 * lines.shape[1]
    for at in range(min(AHEAD, n)):
        fetch_row(lines, places[at], wide)
    for start in range(0, n, BLOCK):
        high = -np.inf
        for at in range(start, min(start + BLOCK, n)):
            now = np.uint64(at)
            if at + AHEAD < n:
                fetch_row(lines, places[now + np.uint64(AHEAD)], wide)
            bound = _rough(lines, floats, places[now], planes, numbers)
            each[now] = bound
            high = max(high, bound)
        highest[start // BLOCK] = high


@compiled(error_model="numpy", counted=False)
def scan(metric, places, n, bounds, where, base, layout, one, best, seen, room):  # type: ignore[no-untyped-def]
    """Compare the first ``n`` rows by 8 bits, and score those that may be among the best.

    ``bounds`` are those of `bound_by_signs`, or none; ``where`` holds the positions in the base, or none where they are
    the same. Rows wait in ``room`` while what is needed of them is fetched, first codes, then coordinates; each is
    looked at again before it is scored, so that the same ones are as if none had waited.
    """
    rows, norms, ids = base
    level, codes, error = layout[:3]
    exact, weights, (norm, scale, offset, slack, pad) = one
    scores, found, size, limit = best
    waiting, reached = room
    each, highest = bounds
    known, private = len(each) > 0, len(where) > 0
    wide = codes.shape[1]
    for at in range(0 if known else min(WAITING, n)):
        fetch_row(codes, places[at], wide)
    at = 0
    while at < n:
        many, least = 0, limit[0]
        while at < n and many < WAITING:
            if known and at % BLOCK == 0 and highest[at // BLOCK] < least:
                at += BLOCK
                continue
            if not known or each[at] >= least:
                ahead = at if known else at + WAITING
                if ahead < n:
                    fetch_row(codes, places[ahead], wide)
                waiting[many] = at
                many += 1
            at += 1
        left = 0
        for i in range(many):
            entry = places[waiting[i]]
            bound = offset + scale * np.float64(weighed(codes, entry, weights)) + level[entry]
            bound = bound + (slack * np.float64(error[entry]) + pad)
            if known:
                bound = min(bound, each[waiting[i]])
            if bound >= least:
                row = where[entry] if private else entry
                fetch_row(rows, row, 4 * rows.shape[1])
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
    each, highest = np.empty(n), np.empty(n // BLOCK + 1)
    bound_by_signs(places, n, signs, (each, highest))
    who = _highest(each, highest, looked)
    score_all(metric, places[who], base, one[0], one[2][0], best, seen)
    for at in who:
        each[at] = np.nan
    scan(metric, places, n, (each, highest), where, base, layout, one, best, seen, room)


@compiled(error_model="numpy")
def _highest(each, highest, many):  # type: ignore[no-untyped-def]
    """Return where the highest of some bounds are, in no order."""
    high, who = np.empty(many), np.empty(many, np.int64)
    size, limit = np.zeros(1, np.int64), np.full(1, -np.inf)
    for start in range(0, len(each), BLOCK):
        if highest[start // BLOCK] >= limit[0]:
            for at in range(start, min(start + BLOCK, len(each))):
                if each[at] >= limit[0]:
                    offer(0, each[at], at, high, who, size, limit)
    return who


@compiled(error_model="numpy")
def scan_cells(metric, words, cells, base, layout, signs, one, best, seen, room):  # type: ignore[no-untyped-def]
    """Open cells, the most promising first, until none can hold a row that belongs to the answer.

    ``cells`` holds the starts, the bound of each, the matches in each, and the positions in the base where rows are
    those of a private list (else none). Rows are bounded by signs where ``signs`` has planes. Cells are opened until
    `OPENED` matches are in them, and these are compared together.
    """
    starts, reach, counts, where = cells
    limit, by_signs = best[3], signs[2].shape[1] > 0
    order, largest = promising(reach, counts, starts)
    entries = np.empty(OPENED + largest, np.int32)
    room_of_bounds = len(entries) if by_signs else 0
    bounds = (np.empty(room_of_bounds), np.empty(room_of_bounds // BLOCK + 1))
    at = 0
    while at < len(order):
        n = 0
        while at < len(order) and n < OPENED:
            cell = order[at]
            if reach[cell] >= limit[0]:
                n = _add_matches(words, starts[cell], starts[cell + 1], where, entries, n)
            at += 1
        seen[0] += n
        if by_signs:
            bound_by_signs(entries, n, signs, bounds)
        scan(metric, entries, n, bounds, where, base, layout, one, best, seen, room)


@compiled(error_model="numpy")
def promising(reach, counts, starts):  # type: ignore[no-untyped-def]
    """Return the cells with matches, by `STEPS` steps of their bounds from the highest on, and the most rows in one."""
    low, high, largest, many = np.inf, -np.inf, 0, 0
    for cell in range(len(reach)):
        if counts[cell]:
            low, high = min(low, reach[cell]), max(high, reach[cell])
            largest, many = max(largest, starts[cell + 1] - starts[cell]), many + 1
    scale = (STEPS - 1) / (high - low) if low < high < np.inf else 0.0
    steps, ends, order = np.empty(len(reach), np.int64), np.zeros(STEPS + 1, np.int64), np.empty(many, np.int64)
    for cell in range(len(reach)):
        if counts[cell]:
            steps[cell] = np.int64((high - reach[cell]) * scale) if scale > 0 else 0
            ends[steps[cell] + 1] += 1
    for step in range(STEPS):
        ends[step + 1] += ends[step]
    for cell in range(len(reach)):
        if counts[cell]:
            order[ends[steps[cell]]] = cell
            ends[steps[cell]] += 1
    return order, largest


@compiled(error_model="numpy", counted=False)
def _add_matches(words, start, stop, where, entries, n):  # type: ignore[no-untyped-def]
    """Add those entries from ``start`` to ``stop`` that pass to the first ``n``, and return their number."""
    zero, unit = np.uint64(0), np.uint64(1)
    if len(where):
        for entry in range(start, stop):
            if has(words, where[entry]):
                entries[n] = entry
                n += 1
        return n
    for w in range(start // 64, (stop + 63) // 64):
        word = word_between(words, w, start, stop)
        while word != zero:
            entries[n] = 64 * w + ones_of((word & (~word + unit)) - unit)
            word &= word - unit
            n += 1
    return n
