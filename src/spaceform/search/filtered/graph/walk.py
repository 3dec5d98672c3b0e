"""The walk, compiled: from the captains nearest to a query along links, among the rows that pass.

After ACORN-1 (Patel et al. 2024, section 5): only rows that pass are compared with the query and enter the beam, the
list of the best found so far; a link to a row that fails is followed one step further, until a row has led to enough
that pass. Rows are compared by their 8-bit codes, and those of the beam are scored exactly at the end, as far as a
bound lets them into the answer. A walk that finds too few rows, or goes on for longer than a scan would, is given up:
the query is answered by another plan.

Links that point outside (-1 is none) end a list, so that nothing outside is read whatever a file says.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from spaceform.compiled import compiled
from spaceform.search.filtered.graph.links import AROUND, CLOSE, CLOSEST, DRAWN, ENOUGH, PROBED, STARTS, WIDTH
from spaceform.search.filtered.scan.addresses import base_at, layout_at, matrix, table_at, vector
from spaceform.search.filtered.scan.asking import encode_query
from spaceform.search.filtered.scan.instructions import weighed
from spaceform.search.filtered.scan.kernels import fetch_row, has, ones_between, ones_of
from spaceform.search.filtered.scan.scoring import closeness_of, norm_of, offer, sort_best
from spaceform.search.graphs.beams import insert

_AHEAD = 4


@njit(inline="always")
def _mark(words, row):  # type: ignore[no-untyped-def]
    place = np.uint64(row)
    words[place >> np.uint64(6)] |= np.uint64(1) << (place & np.uint64(63))


@njit(inline="always")
def _gap(metric, level, codes, entry, weights, scale):  # type: ignore[no-untyped-def]
    """Return how far a row is by its code: minus its score, without what all rows have in common."""
    score = scale * np.float64(weighed(codes, entry, weights))
    if metric == 1:
        score += level[entry]
    return -score


@compiled(error_model="numpy")
def room_for(size):  # type: ignore[no-untyped-def]
    """Return room for so many rows of a beam: gaps, nodes, and whether their links are yet to be followed."""
    return np.empty(size), np.empty(size, np.int32), np.empty(size, np.bool_)


@compiled(error_model="numpy")
def graph_at(address):  # type: ignore[no-untyped-def]
    """Return the arrays of a `Graph` from the address of their `Memory`."""
    table = table_at(address, 4)
    return (
        matrix(table, 0, np.int32),
        vector(table, 1, np.int32),
        vector(table, 2, np.int64),
        vector(table, 3, np.int32),
    )


@compiled(error_model="numpy")
def listed(degree):  # type: ignore[no-untyped-def]
    """Return room for the rows to which the links of some lead: those that pass, and those that do not."""
    most = WIDTH * degree + 2 * STARTS
    return np.empty(most + ENOUGH + DRAWN, np.int32), np.empty(most, np.int32)


@compiled(error_model="numpy")
def ask(metric, wanted, words, graph, base, layout, queries, first, last, outputs):  # type: ignore[no-untyped-def]
    """Answer queries ``first`` to ``last`` as `asking.ask` does; ``told`` is -1 for those that are given up.

    ``wanted``: the plan to tell; lengths of the beam where matches are near and far (0: give up); the number of
    matches, and of rows that may be compared; the share of an error of 8 bits that may point along the query.
    ``graph``, ``base`` and ``layout`` are addresses.
    """
    plan, near, far, matches, most, share = wanted
    scores, ids, seen, told = outputs
    held, found_by, laid = base_at(base), graph_at(graph), layout_at(layout)
    codes, error, starts = (laid[1], laid[2]), laid[3], laid[5]
    frame = laid[9], laid[10], laid[11], laid[13][0]
    d, k, n = queries.shape[1], scores.shape[1], len(held[2])
    exact, asking, weights = np.empty(d), np.empty(d), np.empty(d, np.int16)
    beam, around, begun, groups = room_for(max(near, far)), room_for(AROUND), room_for(STARTS), room_for(PROBED)
    lists, visited = listed(found_by[0].shape[1]), np.empty(len(words), np.uint64)
    limit, size = np.empty(1), np.empty(1, np.int64)
    for i in range(first, last):
        scores[i], ids[i], seen[i], told[i, 0], told[i, 1] = -np.inf, -1, 0, -1, np.inf
        for j in range(d):
            exact[j] = queries[i, j]
        norm = norm_of(exact)
        _, length, scale, offset, pad = encode_query(metric, exact, norm, frame, asking, weights)
        one = weights, scale
        count, passing = captains(metric, words, found_by, codes, one, groups, around, begun)
        local = _density(words, starts, around[1], count)
        local = min(local, _density(words, starts, around[1], min(count, CLOSEST)))
        reach = near if local * n >= CLOSE * matches else far
        if reach == 0:
            continue
        visited[:] = 0
        entries = begun[1][:passing], around[1][: min(count, STARTS)]
        found, compared = walk(metric, words, found_by[0], codes, one, beam, entries, visited, lists, reach, most)
        seen[i, 0] = compared
        if found < min(k, matches):
            continue
        told[i, 0] = plan
        limit[0], size[0] = -np.inf, 0
        numbers = (norm, offset + pad, length * share)
        seen[i, 1] = _score(metric, held, error, (exact, numbers), beam, found, (scores[i], ids[i], size, limit))
        sort_best(scores[i], ids[i], size[0])


@compiled(error_model="numpy", counted=False)
def captains(metric, words, graph, rows, one, first, around, starts):  # type: ignore[no-untyped-def]
    """Fill ``around`` with the captains nearest to a query, ``starts`` with those that pass; return how many.

    Only captains of the groups whose leaders are nearest are looked at.
    """
    _, members, groups, leaders = graph
    level, codes = rows
    weights, scale = one
    wide, chosen, size, passing = codes.shape[1], 0, 0, 0
    for at in range(min(_AHEAD, len(leaders))):
        fetch_row(codes, leaders[at], wide)
    for group in range(len(leaders)):
        if group + _AHEAD < len(leaders):
            fetch_row(codes, leaders[group + _AHEAD], wide)
        gap = _gap(metric, level, codes, leaders[group], weights, scale)
        chosen = _nearer(first, chosen, gap, group)
    for at in range(chosen):
        start, stop = groups[first[1][at]], groups[first[1][at] + 1]
        for member in range(start, min(start + _AHEAD, stop)):
            fetch_row(codes, members[member], wide)
        for member in range(start, stop):
            if member + _AHEAD < stop:
                fetch_row(codes, members[member + _AHEAD], wide)
            row = members[member]
            gap = _gap(metric, level, codes, row, weights, scale)
            size = _nearer(around, size, gap, row)
            if has(words, row):
                passing = _nearer(starts, passing, gap, row)
    return size, passing


@njit(inline="always")
def _nearer(beam, size, gap, node):  # type: ignore[no-untyped-def]
    """Put a node into a list of the nearest, of equal ones the first, and return how many it holds."""
    gaps, nodes, fresh = beam
    last = len(gaps) - 1
    if size <= last or gap < gaps[last] or (gap == gaps[last] and node < nodes[last]):
        insert(gaps, nodes, fresh, size, last + 1, gap, node)
        size = min(size, last) + 1
    return size


@compiled(error_model="numpy", counted=False)
def _density(words, starts, rows, count):  # type: ignore[no-untyped-def]
    """Return the share of rows that match in the cells of the first captains."""
    passing = total = 0
    for at in range(count):
        cell, above = 0, len(starts) - 1
        while cell + 1 < above:
            middle = (cell + above) // 2
            if starts[middle] <= rows[at]:
                cell = middle
            else:
                above = middle
        start, stop = starts[cell], starts[cell + 1]
        passing += ones_between(words, start, stop)
        total += stop - start
    return passing / max(1, total)


@compiled(error_model="numpy", counted=False)
def walk(metric, words, links, rows, one, beam, starts, visited, lists, room, most):  # type: ignore[no-untyped-def]
    """Fill the beam; return how many it holds, -1 if too many rows had to be compared, and how many these were.

    It begins at two lists of ``starts``; links of those that fail are followed. ``visited`` are the rows that were
    compared, and failing ones whose links were followed. ``room`` is the length of the beam, ``most`` the number of
    rows that may be compared.
    """
    level, codes, weights, scale = rows[0], rows[1], one[0], one[1]
    gaps, nodes, fresh = beam
    passing, failing = lists
    drawn = False
    size = cursor = compared = passed = failed = 0
    for some in starts:
        passed, failed = _begun(words, visited, some, passing, failing, passed, failed)
    while True:
        for at in range(failed):
            if passed >= ENOUGH:
                break
            if not has(visited, failing[at]):
                _mark(visited, failing[at])
                passed = _further(words, visited, links, failing[at], codes, passing, passed)
        compared += passed
        for at in range(passed):
            gap = _gap(metric, level, codes, passing[at], weights, scale)
            if size < room or gap < gaps[size - 1]:
                cursor = min(cursor, insert(gaps, nodes, fresh, size, room, gap, passing[at]))
                size = min(size + 1, room)
        cursor, left, passed, failed = _led_on(
            words, visited, links, codes, nodes, fresh, size, cursor, passing, failing
        )
        if left:
            if compared > most:
                return -1, compared
        elif size > 0 or drawn:
            return size, compared
        else:
            passed, drawn = _draw(words, visited, passing), True


@njit(inline="always")
def _begun(words, visited, starts, passing, failing, passed, failed):  # type: ignore[no-untyped-def]
    """Add the rows at which a walk begins to ``passing``, each once, or to ``failing``; return their numbers."""
    for row in starts:
        if not has(words, row):
            failing[failed] = row
            failed += 1
        elif not has(visited, row):
            _mark(visited, row)
            passing[passed] = row
            passed += 1
    return passed, failed


@njit(inline="always")
def _led_on(words, visited, links, codes, nodes, fresh, size, cursor, passing, failing):  # type: ignore[no-untyped-def]
    """Follow the links of the nearest fresh rows of a beam, whose first is not before the cursor.

    Return where the cursor is now, how many rows were left, and the numbers of rows reached that pass and that fail.
    """
    passed = failed = left = 0
    while cursor < size and left < WIDTH:
        if fresh[cursor]:
            fresh[cursor] = False
            left += 1
            passed, failed = _sorted_out(words, visited, links, nodes[cursor], codes, passing, failing, passed, failed)
        cursor += 1
    return cursor, left, passed, failed


@njit(inline="always")
def _sorted_out(words, visited, links, row, codes, passing, failing, passed, failed):  # type: ignore[no-untyped-def]
    """Add the links of a row that are not visited yet to ``passing`` or ``failing``, and return their numbers."""
    for at in range(links.shape[1]):
        other = links[row, at]
        if np.uint32(other) >= np.uint32(len(links)):
            break
        if not has(visited, other):
            if has(words, other):
                _mark(visited, other)
                fetch_row(codes, other, codes.shape[1])
                passing[passed] = other
                passed += 1
            else:
                fetch_row(links, other, 4 * links.shape[1])
                failing[failed] = other
                failed += 1
    return passed, failed


@njit(inline="always")
def _further(words, visited, links, row, codes, passing, passed):  # type: ignore[no-untyped-def]
    """Add the passing links of a failing row to those that will be compared, and return their number."""
    for at in range(links.shape[1]):
        other = links[row, at]
        if np.uint32(other) >= np.uint32(len(links)) or passed >= ENOUGH:
            break
        if has(words, other) and not has(visited, other):
            _mark(visited, other)
            fetch_row(codes, other, codes.shape[1])
            passing[passed] = other
            passed += 1
    return passed


@compiled(error_model="numpy", counted=False)
def _draw(words, visited, passing):  # type: ignore[no-untyped-def]
    """Take the first match of each of `DRAWN` equal stretches of the rows; return how many there are."""
    passed, unit = 0, np.uint64(1)
    for part in range(DRAWN):
        for w in range(part * len(words) // DRAWN, (part + 1) * len(words) // DRAWN):
            if words[w] != 0:
                passing[passed] = 64 * w + ones_of((words[w] & (~words[w] + unit)) - unit)
                _mark(visited, passing[passed])
                passed += 1
                break
    return passed


@compiled(error_model="numpy", counted=False)
def _score(metric, base, error, one, beam, found, best):  # type: ignore[no-untyped-def]
    """Score the rows of the beam whose bounds reach the k-th best, the nearest first; return how many."""
    rows, norms, ids = base
    exact, (norm, above, slack) = one
    gaps, nodes, _ = beam
    scores, who, size, limit = best
    wide, scored = 4 * rows.shape[1], 0
    for at in range(min(2, found)):
        fetch_row(rows, nodes[at], wide)
    for at in range(found):
        if at + 2 < found:
            fetch_row(rows, nodes[at + 2], wide)
        row = nodes[at]
        if above - gaps[at] + slack * np.float64(error[row]) >= limit[0]:
            scored += 1
            offer(metric, closeness_of(metric, exact, norm, rows, row, norms[row]), ids[row], scores, who, size, limit)
    return scored
