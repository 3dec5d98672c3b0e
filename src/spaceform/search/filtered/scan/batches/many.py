"""Plan M, compiled: matches are multiplied with all queries, tile by tile, and few products are looked at twice.

A product in float32 tells a score within an error that is known. Per query the k highest lower bounds are kept; what
reaches their least one by its upper bound may belong to the answer, and is scored exactly in the end. The rows of a
block stay in the second cache while the tiles of queries pass, and a tile of queries in the first.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from spaceform.compiled import compiled
from spaceform.search.filtered.scan.batches.tiles import HEIGHT, LANES, WIDTH, passing, tile
from spaceform.search.filtered.scan.kernels import ones_of, score_all
from spaceform.search.filtered.scan.scoring import norm_of, offer, sort_best

_AT_ONCE = 128
"""Queries whose candidates are held at once; more would not make the rows cheaper to read."""

_HELD = 2**22
"""Candidates that are held at once at most, 8 bytes each, beside those of one tile."""

_BLOCK_BYTES = 2**18
"""Bytes of the rows of a block: half of a common second cache."""

_EPS = float(np.finfo(np.float32).eps)
_TINY = 1e-36
"""More than what numbers below the smallest normal float32 lose."""


@compiled(error_model="numpy")
def multiply(metric, places, base, layout, queries, outputs):  # type: ignore[no-untyped-def]  # compiled
    """Find the best of the rows at ``places`` for all queries: fill heaps of scores and ids, and count rows.

    ``base`` and ``layout`` are those of `asking.ask`. ``outputs`` are scores and ids ``(q, k)``, in heaps of
    ``sizes (q,)``, and ``seen (q, 2)``: rows compared, and scored; the last two begin as zeros. O(places q d).
    """
    if not len(places):
        return
    scores, ids, sizes, seen = outputs
    level, minima, steps, centre = layout[1], layout[9], layout[10], layout[11]
    k = scores.shape[1]
    room = max(1, min(len(places), 4 * k + 64))
    wide = max(WIDTH, min(_AT_ONCE, _HELD // room // WIDTH * WIDTH))
    order = np.empty(-(-len(places) // HEIGHT) * HEIGHT + HEIGHT, np.int32)
    order[: len(places)] = places
    order[len(places) :] = places[-1]
    corner = 0.0
    for j in range(len(steps)):
        side = max(abs(minima[j]), abs(minima[j] + 255 * steps[j]))
        corner += side * side
    for start in range(0, len(queries), wide):
        stop = min(len(queries), start + wide)
        part = (scores[start:stop], ids[start:stop], sizes[start:stop], seen[start:stop])
        _multiply(metric, order, len(places), room, base, (level, centre, np.sqrt(corner)), queries[start:stop], part)


@compiled(error_model="numpy")
def join(parts, scores, ids, seen):  # type: ignore[no-untyped-def]
    """Fill scores and ids, best first, and seen, from heaps ``(parts, q, k)``, their sizes, and rows seen."""
    many_scores, many_ids, sizes, many_seen = parts
    size, limit = np.empty(1, np.int64), np.empty(1)
    for i in range(scores.shape[0]):
        scores[i], ids[i], seen[i] = -np.inf, -1, 0
        size[0], limit[0] = 0, -np.inf
        for part in range(len(sizes)):
            seen[i] += many_seen[part, i]
            for at in range(sizes[part, i]):
                offer(0, many_scores[part, i, at], many_ids[part, i, at], scores[i], ids[i], size, limit)
        sort_best(scores[i], ids[i], size[0])


@compiled(error_model="numpy")
def _multiply(metric, order, n, room, base, frame, queries, outputs):  # type: ignore[no-untyped-def]
    rows, norms, _ = base
    level, centre, corner = frame
    scores, ids, sizes, seen = outputs
    q, d, k = len(queries), rows.shape[1], scores.shape[1]
    tiles = -(-q // WIDTH)
    exact, asked = np.empty((q, d)), np.zeros((tiles, d, WIDTH), np.float32)
    numbers = np.empty((q, 4))  # norm, what is added to every score, the share of a length, and a constant error
    floor, slack = np.full(tiles * WIDTH, np.float32(np.inf)), np.zeros(tiles * WIDTH, np.float32)
    for i in range(q):
        _encode(metric, queries[i], centre, corner, exact[i], asked[i // WIDTH, :, i % WIDTH], numbers[i])
        floor[i], slack[i] = -np.inf, numbers[i, 2]
    lows, limits = np.full((q, k), -np.inf), np.full(q, -np.inf)
    held, counts = (np.empty((q, room), np.int32), np.empty((q, room), np.float32)), np.zeros(q, np.int64)
    height = max(1, _BLOCK_BYTES // (4 * d * HEIGHT)) * HEIGHT
    factor, length, added = np.empty(height, np.float32), np.empty(height, np.float32), np.empty(height, np.float32)
    out = np.zeros((HEIGHT, WIDTH), np.float32)
    best, data = (scores, ids, sizes, limits, seen), (exact, numbers)
    end = -(-n // HEIGHT) * HEIGHT
    for first in range(0, end, height):
        last = min(end, first + height)
        _lengths(metric, order[first:last], norms, level, factor, length, added)
        for number in range(tiles):
            narrow = q - number * WIDTH <= LANES
            for at in range(first, last, HEIGHT):
                following = at + HEIGHT
                if following == last and number + 1 < tiles:
                    following = first
                if narrow:
                    tile(rows, order, at, following, asked, number, out, 1)
                else:
                    tile(rows, order, at, following, asked, number, out, 2)
                for r in range(min(HEIGHT, n - at)):
                    spot = at - first + r
                    bits = passing(out, r, number, (factor[spot], length[spot], added[spot]), slack, floor)
                    while bits:
                        lane = ones_of(np.uint64((bits & -bits) - 1))
                        bits &= bits - 1
                        i = number * WIDTH + lane
                        bound = out[r, lane]
                        low = np.float64(bound) - 2 * numbers[i, 2] * np.float64(length[spot])
                        low -= 10 * _EPS * abs(np.float64(added[spot])) + numbers[i, 3]
                        if low > lows[i, 0]:
                            _raise(lows, i, low)
                            floor[i] = max(floor[i], _below(lows[i, 0] - numbers[i, 3]))
                        place, count = order[at + r], counts[i]
                        held[0][i, count], held[1][i, count] = place, bound
                        counts[i] = count + 1
                        if count + 1 == room:
                            counts[i] = _settle(metric, i, held, room, floor, base, data, best, room // 2)
    for i in range(q):
        seen[i, 0] += n
        _settle(metric, i, held, counts[i], floor, base, data, best, 0)


@compiled(error_model="numpy")
def _settle(metric, i, held, count, floor, base, data, best, most):  # type: ignore[no-untyped-def]
    """Forget the candidates of a query that are below its floor; score the others where more than ``most`` are left."""
    places, bounds = held[0][i], held[1][i]
    exact, numbers = data
    scores, ids, sizes, limits, seen = best
    left = 0
    for at in range(count):
        if bounds[at] >= floor[i]:
            places[left], bounds[left] = places[at], bounds[at]
            left += 1
    if left <= most:
        return left
    one = (scores[i], ids[i], sizes[i : i + 1], limits[i : i + 1])
    score_all(metric, places[:left], base, exact[i], numbers[i, 0], one, seen[i])
    floor[i] = max(floor[i], _below(limits[i] - numbers[i, 1] - numbers[i, 3]))
    return 0


@compiled(error_model="numpy", counted=False)
def _encode(metric, query, centre, corner, exact, asked, numbers):  # type: ignore[no-untyped-def]
    """Fill a query in float64, what is multiplied with rows, and its numbers.

    A score is what is added, and the product with the row (cosine: divided by its norm), and its level. Products in
    float32, in any order of additions, err by less than ``d + 4`` roundings of the lengths (Higham, Accuracy and
    Stability of Numerical Algorithms, section 3.1); the share is twice that.
    """
    d = len(query)
    for j in range(d):
        exact[j] = query[j]
    norm = norm_of(exact)
    size = start = shift = 0.0
    for j in range(d):
        value = exact[j]
        if metric == 0:
            value /= norm
        elif metric == 1:
            value -= centre[j]
            start -= value * value
            value *= 2
            shift += value * centre[j]
        asked[j] = value
        size += value * value
    size = np.sqrt(size)
    pad = 1e-12 * (abs(start) + abs(shift) + size) + _TINY
    if metric == 1:  # rows less the centre were rounded before they were squared
        pad += 2 * _EPS * corner * (size + corner)
    numbers[0], numbers[1], numbers[2], numbers[3] = norm, start - shift, (d + 16) * _EPS * size, pad


@compiled(error_model="numpy", counted=False)
def _lengths(metric, places, norms, level, factor, length, added):  # type: ignore[no-untyped-def]
    """Fill per row what its products are multiplied with, how long the product is then, and its level, rounded up."""
    for at in range(len(places)):
        norm = norms[places[at]]
        factor[at] = 1 / norm if metric == 0 else 1
        length[at] = 1 if metric == 0 else norm * (1 + _EPS)
        added[at] = level[places[at]] + 4 * _EPS * abs(level[places[at]])


@njit(inline="always")
def _below(x):  # type: ignore[no-untyped-def]
    """Return a float32 that is not above ``x``, but for what is far below the smallest normal number."""
    return np.float32(x - _EPS * abs(x))


@njit(inline="always")
def _raise(lows, i, low):  # type: ignore[no-untyped-def]
    """Put a number in the place of the least of a heap."""
    top, size = 0, lows.shape[1]
    while 2 * top + 1 < size:
        child = 2 * top + 1
        if child + 1 < size and lows[i, child + 1] < lows[i, child]:
            child += 1
        if lows[i, child] >= low:
            break
        lows[i, top] = lows[i, child]
        top = child
    lows[i, top] = low
