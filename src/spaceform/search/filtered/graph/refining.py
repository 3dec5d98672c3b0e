"""Looking for neighbours anew, compiled: by a walk to every row on the graph that the cells gave.

What lies near a row but in a cell that lies far from its own is found so, and links that lead there make later walks
shorter. It is the second pass of Vamana (Subramanya et al. 2019), with 8-bit codes and in the order of the cells.
"""

from __future__ import annotations

import numpy as np

from spaceform.compiled import compiled
from spaceform.search.filtered.graph.linking import kept
from spaceform.search.filtered.graph.links import AROUND, PROBED, STARTS
from spaceform.search.filtered.graph.walk import captains, graph_at, listed, room_for, walk
from spaceform.search.filtered.scan.addresses import layout_at
from spaceform.search.filtered.scan.asking import encode_query
from spaceform.search.graphs.beams import gap


@compiled(error_model="numpy")
def refine(metric, data, graph, layout, rule, first, last, refined):  # type: ignore[no-untyped-def]  # compiled
    """Fill ``refined`` for nodes from ``first`` to ``last``: links chosen among those and what a walk finds.

    ``data`` are the rows as `prune` wants them; ``graph`` and ``layout`` are addresses; by ``metric`` and the codes of
    the layout rows are walked to; ``rule`` is the length of the beam, and alpha.
    """
    view, (room, alpha), found_by, laid = data[0], rule, graph_at(graph), layout_at(layout)
    links, codes, frame = found_by[0], (laid[1], laid[2]), (laid[9], laid[10], laid[11], laid[13][0])
    n, d, most = len(view), view.shape[1], links.shape[1]
    exact, asking, weights = np.empty(d), np.empty(d), np.empty(d, np.int16)
    beam, around, begun, groups = room_for(room), room_for(AROUND), room_for(STARTS), room_for(PROBED)
    nodes, gaps, out = np.empty(room + most, np.int32), np.empty(room + most), np.empty(most, np.int32)
    lists, visited = listed(most), np.empty((n + 63) // 64, np.uint64)
    everything = np.full((n + 63) // 64, ~np.uint64(0))
    for node in range(first, last):
        for j in range(d):
            exact[j] = view[node, j]
        _, _, scale, _, _ = encode_query(metric, exact, 1.0, frame, asking, weights)
        one = weights, scale
        _, passing = captains(metric, everything, found_by, codes, one, groups, around, begun)
        visited[:] = 0
        entries = begun[1][:passing], around[1][:0]
        found, _ = walk(metric, everything, links, codes, one, beam, entries, visited, lists, room, n)
        total = 0
        for at in range(found):
            if beam[1][at] != node:
                nodes[total] = beam[1][at]
                total += 1
        for at in range(most):
            if links[node, at] < 0:
                break
            nodes[total] = links[node, at]
            total += 1
        for at in range(total):
            gaps[at] = gap(view, node, view, nodes[at])
        for at in range(kept(data, node, nodes, gaps, total, alpha, out)):
            refined[node, at] = out[at]
