"""Choosing links, compiled: the candidates of a row from its products with others, pruned; then links both ways.

Rows that are equal are at no distance: they would fill the list of a row, and nothing would lead away from them. Half
of a list may be such rows.
"""

from __future__ import annotations

import numpy as np

from spaceform.compiled import compiled
from spaceform.search.filtered.scan.scoring import offer, sort_best
from spaceform.search.graphs.beams import gap
from spaceform.search.graphs.pruning import prune, sort

_SAME = 1e-5
"""Rows that are nearer than this share of a squared norm may be the same, by products in float32."""

_OFFERED = 96
"""Rows that link to a row of which the nearest are considered for links back."""


@compiled(error_model="numpy")
def link(data, products, half, places, first, rule, links):  # type: ignore[no-untyped-def]  # compiled
    """Fill the links of rows from ``first`` on, whose products with the rows at ``places`` are given.

    ``data = (rows, labels, codes, weight)`` as `prune` wants it, without labels and codes; ``half`` are half the
    squared norms of the rows at ``places``; ``rule`` is how many of the nearest are candidates, and alpha.
    """
    rows, (count, alpha) = data[0], rule
    most = links.shape[1]
    count = min(count, len(places))
    heap = np.empty(count), np.empty(count, np.int64), np.empty(1, np.int64), np.empty(1)
    nodes, gaps, out = np.empty(2 * count, np.int32), np.empty(2 * count), np.empty(most, np.int32)
    for i in range(len(products)):
        node, same = first + i, 0
        total = _nearest(rows, node, products[i], half, places, np.inf, heap, nodes, gaps, 0)
        own = 0.0
        for at in range(total):
            same += gaps[at] <= 0
        if 2 * same > most:
            for j in range(rows.shape[1]):
                own += rows[node, j] * rows[node, j] / 2
            below = own - _SAME * own
            total = _nearest(rows, node, products[i], half, places, below, heap, nodes, gaps, total)
        total = kept(data, node, nodes, gaps, total, alpha, out)
        for at in range(total):
            links[node, at] = out[at]


@compiled(error_model="numpy", counted=False)
def _nearest(rows, node, products, half, places, below, heap, nodes, gaps, total):  # type: ignore[no-untyped-def]
    """Add the nearest rows whose scores are below a bound to the candidates of a node, and return their number."""
    scores, found, size, limit = heap
    size[0], limit[0] = 0, -np.inf
    least, top = np.float32(-np.inf), np.float32(below)
    for j in range(len(places)):
        score = products[j] - half[j]
        if score > least and score < top and places[j] != node:
            offer(0, score, places[j], scores, found, size, limit)
            least = np.float32(limit[0])
    sort_best(scores, found, size[0])
    for at in range(size[0]):
        nodes[total + at], gaps[total + at] = found[at], gap(rows, node, rows, found[at])
    return total + size[0]


@compiled(error_model="numpy")
def kept(data, node, nodes, gaps, count, alpha, out):  # type: ignore[no-untyped-def]
    """Write the links of a node to ``out``, nearest first, and return how many; candidates may repeat."""
    most = len(out)
    sort(nodes, gaps, count)
    same = total = 0
    for at in range(count):
        if total > 0 and nodes[total - 1] == nodes[at]:
            continue
        if gaps[at] <= 0:
            same += 1
            if 2 * same > most:
                continue
        nodes[total], gaps[total] = nodes[at], gaps[at]
        total += 1
    return prune(data, node, (nodes, gaps, total), alpha, most, out)


@compiled(error_model="numpy")
def incoming(links):  # type: ignore[no-untyped-def]
    """Return the rows that link to each row, one after the other, and where those of each row end; O(links)."""
    n = len(links)
    ends = np.zeros(n, np.int64)
    for node in range(n):
        for other in links[node]:
            if other < 0:
                break
            ends[other] += 1
    total = 0
    for node in range(n):  # for now where those of a row start
        count = ends[node]
        ends[node] = total
        total += count
    sources = np.empty(total, np.int32)
    for node in range(n):
        for other in links[node]:
            if other < 0:
                break
            sources[ends[other]] = node
            ends[other] += 1
    return sources, ends


@compiled(error_model="numpy")
def join(data, links, back, alpha, first, last, joined):  # type: ignore[no-untyped-def]
    """Fill ``joined`` for nodes from ``first`` to ``last``: links and those back; pruned anew if they are too many."""
    rows, (sources, ends) = data[0], back
    most = links.shape[1]
    scores, found, size, limit = np.empty(_OFFERED), np.empty(_OFFERED, np.int64), np.empty(1, np.int64), np.empty(1)
    nodes, gaps, out = np.empty(most + _OFFERED, np.int32), np.empty(most + _OFFERED), np.empty(most, np.int32)
    for node in range(first, last):
        count, size[0], limit[0] = 0, 0, -np.inf
        for other in links[node]:
            if other < 0:
                break
            nodes[count], gaps[count] = other, gap(rows, node, rows, other)
            count += 1
        for at in range(ends[node - 1] if node > 0 else 0, ends[node]):
            offer(0, -gap(rows, node, rows, sources[at]), sources[at], scores, found, size, limit)
        for at in range(size[0]):
            nodes[count], gaps[count] = found[at], -scores[at]
            count += 1
        total = _few(nodes, gaps, count, out)
        if total < 0:
            total = kept(data, node, nodes, gaps, count, alpha, out)
        for at in range(total):
            joined[node, at] = out[at]


@compiled(error_model="numpy", counted=False)
def _few(nodes, gaps, count, out):  # type: ignore[no-untyped-def]
    """Write the distinct candidates to ``out``, nearest first, and return how many; -1 if there is no room for all."""
    sort(nodes, gaps, count)
    total = 0
    for at in range(count):
        if at > 0 and nodes[at] == nodes[at - 1]:
            continue
        if total == len(out):
            return -1
        out[total] = nodes[at]
        total += 1
    return total
