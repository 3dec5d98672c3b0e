"""Queries from first to last in compiled code: encode, look at the cells, choose a plan, scan.

It computes what `queries` computes in NumPy, whose many small steps cost more than most scans.
"""

from __future__ import annotations

import numpy as np

from spaceform.compiled import compiled
from spaceform.search.filtered.scan.instructions import QUAD, weighed
from spaceform.search.filtered.scan.kernels import (
    WAITING,
    ones_between,
    positions,
    promising,
    scan,
    scan_bits,
    scan_cells,
    score_all,
)
from spaceform.search.filtered.scan.plans import BITS, CELLS, COUNTED, ENOUGH, FEW, NEAR, PRIVATE, SCAN, SPENT, SURELY
from spaceform.search.filtered.scan.queries import ALONG, PLANES, STEP
from spaceform.search.filtered.scan.rotation import rotate
from spaceform.search.filtered.scan.scoring import norm_of, sort_best

_EPS = float(np.finfo(np.float32).eps)


@compiled(error_model="numpy")
def cell_counts(words, starts):  # type: ignore[no-untyped-def]  # compiled
    """Return how many rows of a set lie in each range ``starts[i]`` to ``starts[i + 1]``; O(n / 64 + ranges)."""
    n = len(starts) - 1
    counts = np.zeros(n, np.int64)
    for c in range(n):
        counts[c] = ones_between(words, starts[c], starts[c + 1])
    return counts


_FREE = {"reassoc", "nnan", "nsz"}
"""The order of additions is free in what only bounds a score, and `encode_query` leaves room for it: a loop that adds
up may then be made of registers of several numbers."""


@compiled(error_model="numpy", counted=False, fastmath=_FREE)
def encode_query(metric, exact, norm, frame, asked, weights):  # type: ignore[no-untyped-def]
    """Fill ``asked`` (what is multiplied with screened rows) and 16-bit ``weights``; return the numbers of a query."""
    minima, steps, centre, spread = frame
    d = len(exact)
    start = size = largest = corner = moved = 0.0
    if metric == 1:
        for j in range(d):
            value = exact[j] - centre[j]
            start -= value * value
            asked[j] = 2 * value
            moved = max(moved, abs(centre[j]))
    else:
        length = norm if metric == 0 else 1.0
        for j in range(d):
            asked[j] = exact[j] / length
    for j in range(d):
        size += asked[j] * asked[j]
        largest = max(largest, abs(asked[j] * steps[j]))
        side = max(abs(minima[j]), abs(minima[j] + 255 * steps[j]))
        corner += side * side
    size, corner = np.sqrt(size), np.sqrt(corner)
    scale = largest / min(32_767, (2**31 - 1) // (255 * d))
    if scale == 0:
        scale = 1.0
    offset, lost_sum, lost_squares = start, 0.0, 0.0
    for j in range(d):
        weight = asked[j] * steps[j]
        whole = np.rint(weight / scale)
        lost = weight - scale * whole
        lost_sum += lost
        lost_squares += lost * lost
        offset += asked[j] * minima[j]
        weights[j] = np.int16(whole)
    offset += 128 * lost_sum
    pad = np.sqrt(lost_squares) * spread + 1e-12 * (abs(start) + size)
    pad += 2 * _EPS * corner * (size + (corner if moved > 0 else 0.0))
    return start, size, scale, offset, pad


@compiled(error_model="numpy", counted=False)
def _close(numbers, codes, errors, weights, close):  # type: ignore[no-untyped-def]
    """Fill upper bounds of the scores of all centroids, by 8 bits."""
    scale, offset, size, pad = numbers
    for c in range(len(close)):
        bound = offset + scale * np.float64(weighed(codes, c, weights))
        close[c] = bound + (size * np.float64(errors[c]) + pad)


@compiled(error_model="numpy", counted=False)
def _reaches(metric, gamma, query, cells, close, reach):  # type: ignore[no-untyped-def]
    """Fill the best score that each cell may hold."""
    (size, pad), (lengths, radius) = query, cells
    for c in range(len(close)):
        if metric == 1:
            near = max(0.0, np.sqrt(max(0.0, lengths[c] ** 2 - close[c])) - gamma * radius[c])
            reach[c] = -(near * near) * (1 - 1e-9) + pad
        else:
            reach[c] = close[c] + gamma * size * radius[c] + pad


@compiled(error_model="numpy")
def local_density(reach, counts, starts):  # type: ignore[no-untyped-def]
    """Return the share of rows that match in the `NEAR` cells of largest reach; O(n_cells)."""
    best = np.full(NEAR, -np.inf)
    who = np.full(NEAR, -1)
    for c in range(len(reach)):
        if reach[c] > best[0]:
            place = 0
            while place + 1 < NEAR and best[place + 1] < reach[c]:
                best[place], who[place] = best[place + 1], who[place + 1]
                place += 1
            best[place], who[place] = reach[c], c
    passing = rows = 0
    for cell in who:
        if cell >= 0:
            passing += counts[cell]
            rows += starts[cell + 1] - starts[cell]
    return passing / max(1, rows)


@compiled(error_model="numpy")
def rows_behind(k, middles, reach, cells):  # type: ignore[no-untyped-def]
    """Return how many matches lie in the cells that will be opened; O(n_cells).

    Cells are taken in the order of their ``reach`` until `ENOUGH` k matches lie in them. The k-th best row is believed
    to score as the worst of their ``middles`` does, and what reaches as high to be opened.
    """
    starts, counts = cells
    order, _ = promising(reach, counts, starts)
    limit, behind = np.inf, 0
    for cell in order:
        if behind >= ENOUGH * k:
            break
        limit = min(limit, middles[cell])
        behind += counts[cell]
    behind = 0
    for cell in order:
        if reach[cell] >= limit:
            behind += counts[cell]
    return behind


@compiled(error_model="numpy", counted=False, fastmath=_FREE)
def _product(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


@compiled(error_model="numpy", counted=False, fastmath=_FREE)
def _levels(turned, levels):  # type: ignore[no-untyped-def]
    """Round to levels; return the first, their distance and sum, and the norm of what is left with the share lost."""
    top, d = 2.0**PLANES - 1, len(turned)
    squares = products = rounded = total = 0.0
    for value in turned:
        squares += np.float64(value) * np.float64(value)
    step = max(STEP * np.sqrt(squares / d), 1e-300)
    low = -top / 2 * step
    for j in range(d):
        value = np.float64(turned[j])
        level = min(top, max(0.0, np.rint((value - low) / step)))
        levels[j] = np.uint8(level)
        near = low + step * level
        products += near * value
        rounded += near * near
        total += near
    stretch = squares / products if products > 0 else 1.0
    lost = max(0.0, stretch * stretch * rounded - squares)
    return stretch * low, stretch * step, stretch * total, np.sqrt(squares + ALONG * lost)


@compiled(error_model="numpy")
def _in_planes(asked, middle, signs, turned, levels, planes):  # type: ignore[no-untyped-def]
    """Rotate a query and fill its planes; return the product with ``middle``, and the numbers of `_levels`."""
    rotate(asked, signs, turned)
    low, step, total, size = _levels(turned, levels)
    eights = levels.view(np.uint64)
    for p in range(len(planes)):
        for w in range(len(eights) // 8):
            word = np.uint64(0)
            for b in range(8):  # the product has a bit of each of eight bytes, in order, as its highest bits
                bits = (eights[8 * w + b] >> np.uint64(p)) & np.uint64(0x0101010101010101)
                word |= (bits * np.uint64(0x0102040810204080) >> np.uint64(56)) << np.uint64(8 * b)
            planes[p, w] = word
    return _product(asked, middle), low, step, total, size


@compiled(error_model="numpy")
def ask(metric, wanted, matches, base, layout, queries, first, last, outputs):  # type: ignore[no-untyped-def]
    """Answer queries ``first`` to ``last``: fill scores and ids, best first, from -inf and -1; count rows in ``seen``.

    ``wanted`` holds the plan to run, or -1 to choose between cells and ``other`` (-1: run nothing then); the seconds
    that ``other`` takes, the shares of the radius near and far, the share of the rows that match, the seconds of
    opening everything, of opening nothing, and of a match; the shares of an error of 8 bits and of 1 bit that may point
    along the query (1 bit is not asked where that is 1), and the measured costs of the cells by matches. ``matches``
    are bits, their numbers per cell, and their positions (none where they are not known; with them bits are needed for
    cells only).
    ``outputs`` are scores, ids and seen as there, and ``told (q, 2)``: the plan that ran, and the seconds predicted for
    the cells. Where matches are less than half as dense around a query as overall (negative correlation), these costs
    do not hold, and where they are near those of ``other`` they do not decide: then the matches in the cells that will
    be opened are counted (`rows_behind`).
    """
    words, counts, places = matches
    scores, ids, seen, told = outputs
    plan, share, bit_share = wanted[0], wanted[9], wanted[10]
    where, level, codes, error, lines, starts, _, lengths, radius = layout[:9]
    minima, steps, centre, middle, spread, signs, cell_codes, cell_error = layout[9:]
    frame, rows = (minima, steps, centre, spread[0]), (level, codes, error)
    d, n_cells = queries.shape[1], len(counts) if plan in (-1, CELLS, PRIVATE) else 0
    exact, asking, weights, turned = np.empty(d), np.empty(d), np.empty(d, np.int16), np.empty(signs.shape[1], "f4")
    close, reach = np.empty(n_cells), np.empty(n_cells)
    by_signs = bit_share < 1 and len(lines) > 0
    n_words = signs.shape[1] // 64 if by_signs else 0
    planes = np.zeros((PLANES, -(-n_words // QUAD) * QUAD), np.uint64)
    floats, levels = lines.view(np.float32), np.empty(signs.shape[1], np.uint8)
    limit, size = np.empty(1), np.empty(1, np.int64)
    room, unknown = (np.empty(WAITING, np.int64), np.empty(WAITING)), (np.empty(0), np.empty(0))
    listed = len(places) > 0 or plan in (SCAN, BITS)
    if not len(places) and plan in (SCAN, BITS):
        places = positions(words, starts[-1])
    for i in range(first, last):
        scores[i], ids[i], seen[i], told[i, 1] = -np.inf, -1, 0, np.inf
        for j in range(d):
            exact[j] = queries[i, j]
        norm = norm_of(exact)
        limit[0], size[0] = -np.inf, 0
        best = (scores[i], ids[i], size, limit)
        if plan == SCAN and len(places) <= FEW:
            score_all(metric, places, base, exact, norm, best, seen[i])
            sort_best(scores[i], ids[i], size[0])
            told[i, 0] = plan
            continue
        start, length, scale, offset, pad = encode_query(metric, exact, norm, frame, asking, weights)
        _close((scale, offset, length, pad), cell_codes, cell_error, weights, close)
        cells = (starts, lengths, radius, counts)
        taken = _chosen(metric, wanted, (length, pad, len(scores[i])), cells, close, reach, told[i])
        told[i, 0] = taken
        if taken < 0:
            continue
        one = (exact, weights, (norm, scale, offset, length * share, pad))
        mean = low = step = total = doubt = 0.0
        if planes.shape[1] and taken in (BITS, CELLS, PRIVATE):
            mean, low, step, total, doubt = _in_planes(asking, middle, signs, turned, levels, planes)
        signed = (lines, floats, planes, (start + mean, low, step, total, doubt * bit_share, pad, 2 * n_words))
        if taken in (CELLS, PRIVATE):
            scan_cells(metric, words, (starts, reach, counts, where), base, rows, signed, one, best, seen[i], room)
        else:
            if not listed:
                places, listed = positions(words, starts[-1]), True
            seen[i, 0] += len(places)
            if taken == BITS and planes.shape[1]:
                scan_bits(metric, places, where, base, rows, signed, one, best, seen[i], room)
            else:
                scan(metric, places, len(places), unknown, where, base, rows, one, best, seen[i], room)
        sort_best(scores[i], ids[i], size[0])


@compiled(error_model="numpy")
def _chosen(metric, wanted, query, cells, close, reach, told):  # type: ignore[no-untyped-def]
    """Return the plan of a query, and fill the bound of every cell where cells may be opened."""
    plan, other, other_seconds, near, far, density, everything, beginning, each, _, _, at, seconds = wanted
    starts, lengths, radius, counts = cells
    size, pad, k = query
    if not len(reach):
        return plan if plan != -1 else other
    local, n = 1.0, starts[-1]
    _reaches(metric, near, (size, pad), (lengths, radius), close, reach)
    if plan == -1 or (plan == CELLS and near != far):
        local = local_density(reach, counts, starts)
    if local < density and near != far:
        _reaches(metric, far, (size, pad), (lengths, radius), close, reach)
    if plan != -1:
        return plan
    thin = local < max(density / 2, 1 / n)
    cost = everything if thin else min(everything, np.interp(local * n, at, seconds))
    enough = SURELY * other_seconds
    if thin or enough <= cost < other_seconds:
        middles = np.empty(len(reach))
        _reaches(metric, 0.0, (size, pad), (lengths, radius), close, middles)
        if metric == 1:
            middles -= radius * radius  # a row is that much further away than its centroid, or less
        counted = beginning + each * rows_behind(k, middles, reach, (starts, counts))
        cost = counted if thin else max(cost, counted)
        enough = COUNTED * other_seconds + SPENT * beginning
    told[1] = cost
    return CELLS if cost < enough else other
