"""Compiled passes over a rooted tree whose nodes are in depth-first order: a parent always comes before its children.

Arrays of the tree: ``parent (n,)`` positions, -1 for the root at position 0; ``length (n,)`` of the edge to the parent.
Every pass is O(n); those over batches keep the ``r`` rows of a batch in the inner loop, so that they vectorise.
"""

from __future__ import annotations

import numpy as np

from spaceform.compiled import compiled
from spaceform.types import BoolArray, FloatArray, IntArray


@compiled()
def depth_first(parent: IntArray) -> IntArray:
    """Return the nodes in depth-first order, roots and siblings ascending; fewer than n when a cycle hides some."""
    n = len(parent)
    first = np.zeros(n + 2, np.int64)
    for v in range(n):
        first[parent[v] + 2] += 1
    for v in range(n):
        first[v + 2] += first[v + 1]
    # children of p are child[first[p + 1] : first[p + 2]] once all are placed; the roots come first
    child = np.empty(n, np.int64)
    place = first[:-1].copy()
    for v in range(n):
        child[place[parent[v] + 1]] = v
        place[parent[v] + 1] += 1
    stack, order = np.empty(n, np.int64), np.empty(n, np.int64)
    size = done = 0
    for at in range(first[1] - 1, first[0] - 1, -1):
        stack[size] = child[at]
        size += 1
    while size > 0:
        size -= 1
        v = stack[size]
        order[done] = v
        done += 1
        for at in range(first[v + 2] - 1, first[v + 1] - 1, -1):
            stack[size] = child[at]
            size += 1
    return order[:done]


@compiled()
def depths(parent: IntArray, length: FloatArray) -> FloatArray:
    """Return the distance of each node from the root."""
    depth = np.zeros(len(parent))
    for v in range(1, len(parent)):
        depth[v] = depth[parent[v]] + length[v]
    return depth


@compiled()
def pair_distances(parent: IntArray, length: FloatArray, a: IntArray, b: IntArray) -> FloatArray:
    """Return the distance of ``a[i]`` and ``b[i]``; O(edges on the path): the later node is never an ancestor."""
    result = np.zeros(len(a))
    for i in range(len(a)):
        u, v, total = a[i], b[i], 0.0
        while u != v:
            if u > v:
                total += length[u]
                u = parent[u]
            else:
                total += length[v]
                v = parent[v]
        result[i] = total
    return result


@compiled()
def source_distances(parent: IntArray, length: FloatArray, sources: IntArray, out: FloatArray) -> None:
    """Fill ``out (k, n)`` with the distances from each source to every node."""
    n = len(parent)
    for k in range(len(sources)):
        row = out[k]
        row[:] = -1.0
        row[sources[k]] = 0.0
        v = sources[k]
        while parent[v] >= 0:
            row[parent[v]] = row[v] + length[v]
            v = parent[v]
        for v in range(n):
            if row[v] < 0:
                row[v] = row[parent[v]] + length[v]


@compiled()
def spanned(parent: IntArray, kept: BoolArray) -> BoolArray:
    """Return which nodes lie on a path between two kept ones (a kept node lies on the path to itself)."""
    n = len(parent)
    below = np.zeros(n, np.int64)
    for v in range(n - 1, -1, -1):
        below[v] += kept[v]
        if parent[v] >= 0:
            below[parent[v]] += below[v]
    total, top = below[0], 0
    for v in range(n):
        if below[v] == total:
            top = v  # common ancestors form one descending chain, so the last of them is the lowest
    inside = below > 0
    for v in range(top):
        if below[v] == total:
            inside[v] = False
    return inside


@compiled()
def nearest_distances(parent: IntArray, length: FloatArray, kept: BoolArray) -> FloatArray:
    """Return the distance of every node from the nearest kept one (infinite without any)."""
    n = len(parent)
    near = np.where(kept, 0.0, np.inf)
    for v in range(n - 1, 0, -1):
        near[parent[v]] = min(near[parent[v]], near[v] + length[v])
    for v in range(1, n):
        near[v] = min(near[v], near[parent[v]] + length[v])
    return near


@compiled()
def variance_passes(
    parent: IntArray, length: FloatArray, weight: FloatArray, moment: FloatArray, variance: FloatArray
) -> None:
    """Turn weights at the nodes into the weighted variance of every node, for ``r`` rows at once.

    ``weight (n, r)`` holds the weights; ``moment (n, r)`` zeros; ``variance[0]`` the variance of the root,
    ``sum w depth^2``. Upward pass: ``W_v = sum w`` and ``M_v = sum w d`` over the subtree of ``v``. Downward pass,
    from ``p`` to its child ``v`` over an edge ``e``, with ``T`` the moment about a node over the whole tree and
    ``I = M_v + e W_v`` the part of ``T_p`` below ``v``: ``S_v = S_p + 2 e (T_p - 2 I) + e^2 W`` and
    ``T_v = T_p + e (W - 2 W_v)``. ``moment`` and ``weight`` are overwritten.
    """
    n, r = weight.shape
    for v in range(n - 1, 0, -1):
        p, e = parent[v], length[v]
        for j in range(r):
            moment[p, j] += moment[v, j] + e * weight[v, j]
            weight[p, j] += weight[v, j]
    for v in range(1, n):
        p, e = parent[v], length[v]
        for j in range(r):
            total, inside = weight[0, j], moment[v, j] + e * weight[v, j]
            variance[v, j] = variance[p, j] + e * (2 * (moment[p, j] - 2 * inside) + e * total)
            moment[v, j] = moment[p, j] + e * (total - 2 * weight[v, j])


@compiled()
def least(
    variance: FloatArray, label: IntArray, tolerance: float, best_label: IntArray, best_value: FloatArray
) -> None:
    """Per column of ``variance (n, r)`` set the lowest ``label (n,)`` (negative: not allowed) that ties for least.

    Rounding may leave a variance of 0 slightly negative; it counts as 0.
    """
    n, r = variance.shape
    best_value[:] = np.inf
    for v in range(n):
        if label[v] >= 0:
            for j in range(r):
                best_value[j] = min(best_value[j], max(variance[v, j], 0.0))
    none = label.max() + 1
    best_label[:] = none
    for v in range(n):
        if label[v] >= 0:
            for j in range(r):
                if label[v] < best_label[j] and max(variance[v, j], 0.0) <= best_value[j] * (1 + tolerance):
                    best_label[j] = label[v]


@compiled()
def gather(variance: FloatArray, nodes: IntArray, out: FloatArray) -> None:
    """Fill ``out (r, m)`` with the rows ``nodes (m,)`` of ``variance (n, r)``, transposed; negative ones become 0."""
    for y in range(len(nodes)):
        v = nodes[y]
        for j in range(out.shape[0]):
            out[j, y] = max(variance[v, j], 0.0)
