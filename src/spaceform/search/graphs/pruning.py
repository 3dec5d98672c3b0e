"""Which links a node keeps: the relative-neighbourhood rule, with or without labels.

A candidate is covered, and dropped, when a link already kept is nearer to it than the node by a factor ``alpha``
(Vamana, Subramanya et al. 2019; with alpha 1 the heuristic of HNSW, Malkov and Yashunin 2018). With labels a link may
cover only what leads to nothing that it does not lead to: ``labels(node) & labels(candidate)`` must be labels of the
link (Gollapudi et al. 2023, algorithm 3). Labels are bits, ``(n, words)`` uint64; no words, no labels. ACORN (Patel et
al. 2024, section 5) has another rule, `compress`.
"""

from __future__ import annotations

from spaceform.compiled import compiled
from spaceform.search.graphs.beams import fused


@compiled(error_model="numpy")
def meets(labels, node, wanted, at):  # type: ignore[no-untyped-def]
    """Return whether a node has one of the labels ``wanted[at]``; true without labels."""
    for w in range(labels.shape[1]):
        if labels[node, w] & wanted[at, w]:
            return True
    return labels.shape[1] == 0


@compiled(error_model="numpy")
def _may_cover(labels, node, candidate, link):  # type: ignore[no-untyped-def]
    for w in range(labels.shape[1]):  # noqa: SIM110  the compiler knows no generators
        if labels[node, w] & labels[candidate, w] & ~labels[link, w]:
            return False
    return True


@compiled(error_model="numpy")
def prune(data, node, pool, alpha, most, out):  # type: ignore[no-untyped-def]
    """Write at most ``most`` of the candidates ``pool = (nodes, gaps, count)`` to ``out`` and return their number.

    The pool is sorted by gap.
    ``data = (rows, labels, codes, weight)``: distances are fused ones. Repeated candidates and the node itself are
    dropped. O(candidates kept d).
    """
    rows, labels, codes, weight = data
    nodes, gaps, count = pool
    kept = 0
    for c in range(count):
        if kept == most:
            break
        candidate = nodes[c]
        covered = candidate == node
        for a in range(kept):
            if covered:
                break
            link = out[a]
            if link == candidate:
                covered = True
            elif _may_cover(labels, node, candidate, link):
                between = fused(rows, link, rows, candidate, codes, codes, weight)
                covered = alpha * alpha * between < gaps[c]
        if not covered:
            out[kept] = candidate
            kept += 1
    return kept


@compiled(error_model="numpy")
def compress(graph, node, pool, dense, most, marks, out):  # type: ignore[no-untyped-def]
    """Write the candidates that ACORN keeps on level 0 to ``out``; return how many.

    The ``dense`` nearest are kept; of the others those that no link kept after these leads to, until all that is kept
    or led to are ``most``. ``marks`` is scratch ``(n + 1,)``, its last entry a counter.
    """
    links, degree = graph
    nodes, _, count = pool
    marks[-1] += 1
    stamp = marks[-1]
    kept, reached = 0, 0
    for c in range(count):
        candidate = nodes[c]
        if candidate == node or (kept >= dense and marks[candidate] == stamp):
            continue
        if kept >= most or (kept >= dense and kept + reached >= most):
            break
        out[kept] = candidate
        kept += 1
        if kept > dense:
            for at in range(degree[candidate]):
                if marks[links[candidate, at]] != stamp:
                    marks[links[candidate, at]] = stamp
                    reached += 1
    return kept


@compiled(error_model="numpy")
def choose(data, graph, node, pool, rule, out):  # type: ignore[no-untyped-def]
    """Choose links by ``rule = (alpha, most, dense, marks)``: `prune` if alpha > 0, else `compress`."""
    alpha, most, dense, marks = rule
    if alpha > 0:
        return prune(data, node, pool, alpha, most, out)
    return compress(graph, node, pool, dense, most, marks, out)


@compiled(error_model="numpy")
def connect(data, graph, line, node, other, rule, room):  # type: ignore[no-untyped-def]
    """Link ``node``, whose list is ``line`` of the graph, to ``other``; a list that is full is chosen anew.

    ``room = (nodes, gaps, out)`` are buffers longer than a list. Lists that `compress` made stay sorted by distance, so
    that few distances are needed to find a place in them.
    """
    links, degree = graph
    count = degree[line]
    for at in range(count):
        if links[line, at] == other:
            return
    if rule[0] > 0 and count < links.shape[1]:
        links[line, count] = other
        degree[line] = count + 1
        return
    if rule[0] > 0:
        kept = _chosen_anew(data, graph, line, node, other, rule, room)
    else:
        kept = _inserted(data, graph, line, node, other, rule, room)
    out = room[2]
    for at in range(kept):
        links[line, at] = out[at]
    degree[line] = kept


@compiled(error_model="numpy")
def _chosen_anew(data, graph, line, node, other, rule, room):  # type: ignore[no-untyped-def]
    rows, _, codes, weight = data
    nodes, gaps, out = room
    count = graph[1][line]
    for at in range(count):
        nodes[at] = graph[0][line, at]
    nodes[count] = other
    for at in range(count + 1):
        gaps[at] = fused(rows, nodes[at], rows, node, codes, codes, weight)
    sort(nodes, gaps, count + 1)
    return choose(data, graph, node, (nodes, gaps, count + 1), rule, out)


@compiled(error_model="numpy")
def _inserted(data, graph, line, node, other, rule, room):  # type: ignore[no-untyped-def]
    rows, _, codes, weight = data
    links, degree = graph
    nodes, gaps, out = room
    distance, low, high = fused(rows, other, rows, node, codes, codes, weight), 0, degree[line]
    while low < high:
        middle = (low + high) // 2
        if fused(rows, links[line, middle], rows, node, codes, codes, weight) < distance:
            low = middle + 1
        else:
            high = middle
    for at in range(low):
        out[at] = links[line, at]
    out[low] = other
    for at in range(low, degree[line]):
        out[at + 1] = links[line, at]
    kept = degree[line] + 1
    if kept > links.shape[1]:
        for at in range(kept):
            nodes[at] = out[at]
        kept = choose(data, graph, node, (nodes, gaps, kept), rule, out)
    return kept


@compiled(error_model="numpy")
def sort(nodes, gaps, count):  # type: ignore[no-untyped-def]
    """Sort the first ``count`` candidates by gap, ties by node, in place: by insertion, for they are nearly sorted."""
    for at in range(1, count):
        node, length, place = nodes[at], gaps[at], at
        while place > 0 and (gaps[place - 1] > length or (gaps[place - 1] == length and nodes[place - 1] > node)):
            gaps[place], nodes[place] = gaps[place - 1], nodes[place - 1]
            place -= 1
        gaps[place], nodes[place] = length, node
