"""Queries from first to last in compiled code: encode, look at the cells, choose a plan, scan.

It computes what `queries` computes in NumPy, whose many small steps cost more than most scans.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from spaceform.search.filtered.scan.kernels import BITS, CELLS, PRIVATE, SCAN, _answer, _ones, _sink

NEAR = 16
"""Cells nearest to a query whose matches tell how dense matches are around it."""

_EPS = float(np.finfo(np.float32).eps)


@njit(nogil=True, cache=True, error_model="numpy")
def cell_counts(words, starts):  # type: ignore[no-untyped-def]  # compiled
    """Return how many rows of a set lie in each range ``starts[i]`` to ``starts[i + 1]``; O(n / 64 + ranges)."""
    n = len(starts) - 1
    counts = np.zeros(n, np.int64)
    everything = ~np.uint64(0)
    for c in range(n):
        start, stop = starts[c], starts[c + 1]
        total = 0
        for w in range(start // 64, (stop + 63) // 64):
            word = words[w]
            if 64 * w < start:
                word &= everything << np.uint64(start - 64 * w)
            if 64 * w + 64 > stop:
                word &= everything >> np.uint64(64 * w + 64 - stop)
            total += _ones(word)
        counts[c] = total
    return counts


@njit(nogil=True, cache=True, error_model="numpy")
def _encode(metric, exact, norm, layout, asked, weights):  # type: ignore[no-untyped-def]
    """Fill ``asked`` (what is multiplied with screened rows) and 16-bit ``weights``; return the numbers of a query."""
    minima, steps, centre, spread = layout
    d = len(exact)
    start = size = largest = corner = 0.0
    moved = False
    for j in range(d):
        value = exact[j]
        if metric == 0:
            value = value / norm
        elif metric == 1:
            value = value - centre[j]
            start -= value * value
            value = 2 * value
            moved = moved or centre[j] != 0
        asked[j] = value
        size += value * value
        largest = max(largest, abs(value * steps[j]))
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
    pad += 2 * _EPS * corner * (size + (corner if moved else 0.0))
    return start, size, scale, offset, pad


@njit(nogil=True, cache=True, error_model="numpy")
def _reaches(metric, gamma, start, size, pad, d, products, lengths, radius, score, reach):  # type: ignore[no-untyped-def]
    """Fill the scores of the centroids and the best score that each cell may hold."""
    for c in range(len(lengths)):
        product = np.float64(products[c])
        rough = 4 * (d + 8) * _EPS * size * lengths[c]
        score[c] = product + start
        if metric == 1:
            squares = max(0.0, lengths[c] ** 2 - start - product - rough)
            near = max(0.0, np.sqrt(squares) - gamma * radius[c])
            reach[c] = -(near * near) * (1 - 1e-9) + pad
        else:
            reach[c] = product + rough + gamma * size * radius[c] + pad


@njit(nogil=True, cache=True, error_model="numpy")
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


@njit(nogil=True, cache=True, error_model="numpy")
def _quarter(turned, planes):  # type: ignore[no-untyped-def]
    """Fill the planes of a rotated query in four bits; return ``low``, ``step``, the sum and the norm."""
    low, high, total, squares = turned[0], turned[0], 0.0, 0.0
    for value in turned:
        low, high = min(low, value), max(high, value)
        total += value
        squares += value * value
    low, high = np.float64(low), np.float64(high)
    step = max((high - low) / 15, 1e-300)
    planes[:] = 0
    for j in range(len(turned)):
        level = np.uint64(min(15.0, max(0.0, np.rint((np.float64(turned[j]) - low) / step))))
        for b in range(4):
            planes[b, j // 64] |= ((level >> np.uint64(b)) & np.uint64(1)) << np.uint64(j % 64)
    return low, step, total, np.sqrt(squares)


@njit(nogil=True, cache=True, error_model="numpy")
def ask(metric, wanted, words, counts, base, layout, asked, first, last, outputs):  # type: ignore[no-untyped-def]
    """Answer queries ``first`` to ``last``: fill scores and ids, best first, from -inf and -1; count rows in ``seen``.

    ``wanted`` holds the plan to run, or -1 to choose between cells and ``other`` (-1: run nothing then); the seconds
    that ``other`` takes, the shares of the radius near and far, the share of the rows that match, the seconds of
    opening everything, the shares of an error of 8 bits and of 1 bit that may point along the query, and the
    measured costs of the cells by matches. ``asked`` holds queries, norms, products with the centroids, and rotated
    queries. ``outputs`` are scores, ids and seen as there, and ``told (q, 2)``: the plan that ran, and the seconds
    predicted for the cells. Where matches are less than half as dense around a query as overall (negative
    correlation), all cells are counted on: few matches were cheap when they were measured, because there were no
    others to open cells for.
    """
    scores, ids, seen, told = outputs
    forced, other, other_seconds, near, far, density, everything, share, bit_share, at, seconds = wanted
    queries, norms, products, turned = asked
    n_cells, d = products.shape[1], queries.shape[1]
    exact, asking, weights = np.empty(d), np.empty(d), np.empty(d, np.int16)
    score, reach = np.empty(max(1, n_cells)), np.empty(max(1, n_cells))
    planes = np.zeros((4, layout.bits.shape[1]), np.uint64)
    limit, size = np.empty(1), np.empty(1, np.int64)
    arrays = (
        layout.where, layout.level, layout.codes, layout.error, layout.bits, layout.ones, layout.factor,
        layout.deviation, layout.starts,
    )  # fmt: skip
    frame = (layout.minima, layout.steps, layout.centre, layout.spread[0])
    rows = (base.rows, base.norms, base.ids)
    n = len(layout.error)
    for i in range(first, last):
        for j in range(d):
            exact[j] = queries[i, j]
        start, length, scale, offset, pad = _encode(metric, exact, norms[i], frame, asking, weights)
        plan, local = forced, 1.0
        score[0] = 0.0
        if n_cells:
            gamma = near
            _reaches(metric, near, start, length, pad, d, products[i], layout.lengths, layout.radius, score, reach)
            if plan == -1 or (plan == CELLS and near != far):
                local = local_density(reach, counts, layout.starts)
            if plan == -1:
                cells = everything
                if local >= max(density / 2, 1 / n):
                    cells = min(everything, np.interp(local * n, at, seconds))
                told[i, 1] = cells
                plan = CELLS if cells < other_seconds else other
            if plan == CELLS and local < density:
                gamma = far
            if gamma != near:
                _reaches(metric, far, start, length, pad, d, products[i], layout.lengths, layout.radius, score, reach)
        told[i, 0] = plan
        if plan < 0:
            continue
        low = step = total = doubt = 0.0
        if plan == BITS:
            low, step, total, doubt = _quarter(turned[i], planes)
        limit[0], size[0] = -np.inf, 0
        best = (scores[i], ids[i], size, limit)
        numbers = (norms[i], scale, offset, length * share, pad, score, low, step, total, doubt * bit_share)
        one = (exact, weights, planes, reach, numbers)
        _answer(plan, metric, words, counts, rows, arrays, one, best, seen[i])
        for end in range(size[0] - 1, 0, -1):  # take the worst from the top, put it last
            scores[i, 0], scores[i, end] = scores[i, end], scores[i, 0]
            ids[i, 0], ids[i, end] = ids[i, end], ids[i, 0]
            _sink(scores[i], ids[i], 0, end)


__all__ = ["BITS", "CELLS", "NEAR", "PRIVATE", "SCAN", "ask", "cell_counts", "local_density"]
