"""The scans, compiled: rows are screened by their codes, and those that may belong to the answer are scored exactly.

Every scan keeps the k best in a heap (worst on top, ties by id) and skips a row only if the upper bound of its score
is below the k-th best so far. With bounds that hold the answer is therefore the same for every plan and every order.
Exact scores are sums in float64 in a fixed order of additions, so that NumPy (`reference`) finds the same bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from spaceform.search.filtered.scan.prefetch import prefetch

AHEAD = 12
"""Matches whose codes are fetched before their turn."""

LINE = 64
"""Bytes of a line of cache."""

SCAN, BITS, CELLS, PRIVATE = range(4)
"""What to do: all matches by 8 bits; by 1 bit first; the most promising cells; the same over a private list."""


@njit(inline="always")
def _ones(x):  # type: ignore[no-untyped-def]  # compiled; the compiler knows this as one instruction
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(nogil=True, cache=True, error_model="numpy")
def _closeness(metric, q, q_norm, rows, at, x_norm):  # type: ignore[no-untyped-def]
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = 0.0
    d = np.uint64(q.shape[0])
    one = np.uint64(1)
    for b in range(d // np.uint64(8)):
        j = np.uint64(b) * np.uint64(8)
        if metric == 1:
            a0 += (q[j] - rows[at, j]) ** 2
            a1 += (q[j + one] - rows[at, j + one]) ** 2
            a2 += (q[j + np.uint64(2)] - rows[at, j + np.uint64(2)]) ** 2
            a3 += (q[j + np.uint64(3)] - rows[at, j + np.uint64(3)]) ** 2
            a4 += (q[j + np.uint64(4)] - rows[at, j + np.uint64(4)]) ** 2
            a5 += (q[j + np.uint64(5)] - rows[at, j + np.uint64(5)]) ** 2
            a6 += (q[j + np.uint64(6)] - rows[at, j + np.uint64(6)]) ** 2
            a7 += (q[j + np.uint64(7)] - rows[at, j + np.uint64(7)]) ** 2
        else:
            a0 += q[j] * rows[at, j]
            a1 += q[j + one] * rows[at, j + one]
            a2 += q[j + np.uint64(2)] * rows[at, j + np.uint64(2)]
            a3 += q[j + np.uint64(3)] * rows[at, j + np.uint64(3)]
            a4 += q[j + np.uint64(4)] * rows[at, j + np.uint64(4)]
            a5 += q[j + np.uint64(5)] * rows[at, j + np.uint64(5)]
            a6 += q[j + np.uint64(6)] * rows[at, j + np.uint64(6)]
            a7 += q[j + np.uint64(7)] * rows[at, j + np.uint64(7)]
    if d % np.uint64(8):
        rest = np.zeros(8)
        for j in range(d - d % np.uint64(8), d):
            rest[j % np.uint64(8)] = (q[j] - rows[at, j]) ** 2 if metric == 1 else q[j] * rows[at, j]
        a0, a1, a2, a3 = a0 + rest[0], a1 + rest[1], a2 + rest[2], a3 + rest[3]
        a4, a5, a6, a7 = a4 + rest[4], a5 + rest[5], a6 + rest[6], a7 + rest[7]
    total = ((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (a6 + a7))
    if metric == 1:
        return 0.0 - np.sqrt(total)
    if metric == 0:
        return min(1.0, max(-1.0, total / (q_norm * x_norm)))
    return total


@njit(inline="always")
def _worse(scores, ids, a, b):  # type: ignore[no-untyped-def]
    return scores[a] < scores[b] or (scores[a] == scores[b] and ids[a] > ids[b])


@njit(nogil=True, cache=True, error_model="numpy")
def _sink(scores, ids, top, size):  # type: ignore[no-untyped-def]
    """Restore the heap of the worst after its entry ``top`` has changed."""
    while True:
        least = top
        for child in (2 * top + 1, 2 * top + 2):
            if child < size and _worse(scores, ids, child, least):
                least = child
        if least == top:
            return
        scores[top], scores[least] = scores[least], scores[top]
        ids[top], ids[least] = ids[least], ids[top]
        top = least


@njit(nogil=True, cache=True, error_model="numpy")
def _offer(metric, closeness, row, scores, ids, size, limit):  # type: ignore[no-untyped-def]
    """Put a row among the best; ``limit`` becomes the score that an upper bound must reach from now on."""
    k = len(scores)
    n = size[0]
    if n < k:
        scores[n], ids[n] = closeness, row
        child = n
        while child > 0 and _worse(scores, ids, child, (child - 1) // 2):
            parent = (child - 1) // 2
            scores[child], scores[parent] = scores[parent], scores[child]
            ids[child], ids[parent] = ids[parent], ids[child]
            child = parent
        size[0] = n + 1
    elif closeness > scores[0] or (closeness == scores[0] and row < ids[0]):
        scores[0], ids[0] = closeness, row
        _sink(scores, ids, 0, k)
    if size[0] == k:
        limit[0] = -scores[0] * scores[0] * (1 + 1e-12) if metric == 1 else scores[0]


@njit(nogil=True, cache=True, error_model="numpy")
def _dot(codes, entry, weights):  # type: ignore[no-untyped-def]
    """Multiply a row of bytes with 16-bit weights; 32 bits hold the sum."""
    total = np.int32(0)
    for j in range(len(weights)):
        total = np.int32(total + np.int32(np.int32(codes[entry, j]) * np.int32(weights[j])))
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _common(bits, entry, planes):  # type: ignore[no-untyped-def]
    """Add up the four-bit coordinates of a query where a row has ones."""
    total = np.int64(0)
    for b in range(planes.shape[0]):
        part = np.int64(0)
        for j in range(bits.shape[1]):
            part += _ones(bits[entry, j] & planes[b, j])
        total += part << b
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _positions(words, stop):  # type: ignore[no-untyped-def]
    """Return the positions of the bits that are set."""
    unit, total = np.uint64(1), 0
    for w in range((stop + 63) // 64):
        total += _ones(words[w])
    places, n = np.empty(total, np.int64), 0
    for w in range((stop + 63) // 64):
        word = words[w]
        while word != np.uint64(0):
            places[n] = 64 * w + _ones((word & (~word + unit)) - unit)
            word &= word - unit
            n += 1
    return places


@njit(nogil=True, cache=True, error_model="numpy")
def _first(reach, a, b):  # type: ignore[no-untyped-def]
    return reach[a] > reach[b] or (reach[a] == reach[b] and a < b)


@njit(nogil=True, cache=True, error_model="numpy")
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
def _fetch(codes, entry):  # type: ignore[no-untyped-def]
    for byte in range(0, codes.shape[1], LINE):
        prefetch(codes, entry, byte)


@njit(nogil=True, cache=True, error_model="numpy")
def _scan(metric, words, base, layout, one, best, seen):  # type: ignore[no-untyped-def]
    """Compare all matches by 8 bits; codes are fetched some matches ahead."""
    rows, norms, ids = base
    level, codes, error, starts = layout[1], layout[2], layout[3], layout[8]
    exact, weights, (norm, scale, offset, slack, pad) = one[0], one[1], one[4][:5]
    best_scores, best_ids, size, limit = best
    places = _positions(words, starts[-1])
    for entry in places[:AHEAD]:
        _fetch(codes, entry)
    for at in range(len(places)):
        if at + AHEAD < len(places):
            _fetch(codes, places[at + AHEAD])
        entry = places[at]
        bound = offset + scale * np.float64(_dot(codes, entry, weights)) + level[entry]
        if bound + (slack * np.float64(error[entry]) + pad) >= limit[0]:
            seen[1] += 1
            close = _closeness(metric, exact, norm, rows, entry, norms[entry])
            _offer(metric, close, ids[entry], best_scores, best_ids, size, limit)
    seen[0] += len(places)


@njit(nogil=True, cache=True, error_model="numpy")
def _answer(plan, metric, words, counts, base, layout, one, best, seen):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912
    """Answer one query.

    It is one function, long as it is, because arrays handed to another cost two atomic operations each per cell.
    """
    rows, norms, ids = base
    where, level, codes, error, bits, ones, factor, deviation, starts = layout
    exact, weights, planes, reach, (norm, scale, offset, slack, pad, score, low, step, total, doubt) = one
    best_scores, best_ids, size, limit = best
    if plan == SCAN:
        _scan(metric, words, base, layout, one, best, seen)
        return
    zero, unit, mask = np.uint64(0), np.uint64(1), np.uint64(63)
    ordered = plan in (CELLS, PRIVATE)
    heap = np.flatnonzero(counts)
    left, taken = len(heap), 0
    if ordered:
        for top in range(left // 2 - 1, -1, -1):
            _settle(heap, reach, top, left)
    while left > 0:
        if ordered:
            cell = heap[0]
            if reach[cell] < limit[0]:
                break
            left -= 1
            heap[0] = heap[left]
            _settle(heap, reach, 0, left)
        else:
            cell = heap[taken]
            taken += 1
            left -= 1
        start, stop = starts[cell], starts[cell + 1]
        if plan == PRIVATE:
            for entry in range(start, stop):
                position = np.uint64(where[entry])
                if (words[position >> np.uint64(6)] >> (position & mask)) & unit:
                    seen[0] += 1
                    bound = offset + scale * np.float64(_dot(codes, entry, weights)) + level[entry]
                    if bound + (slack * np.float64(error[entry]) + pad) >= limit[0]:
                        seen[1] += 1
                        close = _closeness(metric, exact, norm, rows, position, norms[position])
                        _offer(metric, close, ids[position], best_scores, best_ids, size, limit)
            continue
        for w in range(start // 64, (stop + 63) // 64):
            word = words[w]
            if 64 * w < start:
                word &= ~zero << np.uint64(start - 64 * w)
            if 64 * w + 64 > stop:
                word &= ~zero >> np.uint64(64 * w + 64 - stop)
            while word != zero:
                entry = 64 * w + _ones((word & (~word + unit)) - unit)
                word &= word - unit
                seen[0] += 1
                if plan == BITS:
                    signs = low * np.float64(ones[entry]) + step * np.float64(_common(bits, entry, planes))
                    bound = score[cell] + np.float64(factor[entry]) * (2 * signs - total) + level[entry]
                    if bound + (doubt * np.float64(deviation[entry]) + pad) < limit[0]:
                        continue
                bound = offset + scale * np.float64(_dot(codes, entry, weights)) + level[entry]
                if bound + (slack * np.float64(error[entry]) + pad) >= limit[0]:
                    seen[1] += 1
                    close = _closeness(metric, exact, norm, rows, entry, norms[entry])
                    _offer(metric, close, ids[entry], best_scores, best_ids, size, limit)
