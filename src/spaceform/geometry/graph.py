"""Shortest-path distances between the nodes of a graph: one search per observed label, never all pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, csr_array, issparse
from scipy.sparse.csgraph import connected_components, dijkstra

from spaceform.checks import check_choice
from spaceform.errors import InputError
from spaceform.geometry.finite import LabelMetric, describe_components, name_array
from spaceform.geometry.variance import blocks
from spaceform.types import FloatArray, IntArray

COMPONENTS = ("all", "largest")
SEARCH_BYTES = 64 * 2**20


@final
class GraphMetric(LabelMetric):
    """Length of the shortest path between two labels in an undirected graph.

    Parameters: ``adjacency (N, N)`` sparse or dense, its non-zero entries edge lengths > 0; an edge may be given in
    one direction or in both (with the same length). ``labels`` names; ``weighted=False`` counts hops;
    ``component="largest"`` keeps only the largest connected component (its labels keep their names and order, ids
    are renumbered; the first one of equal size).

    Raises ``InputError`` for negative, NaN or infinite lengths, two lengths for one edge, and for a graph of several
    components, which are named. K rows cost O(K (E + N log N)) time (Dijkstra) and K N numbers.

    >>> GraphMetric([[0, 1, 0], [0, 0, 1], [0, 0, 0]]).mean([0, 2])
    1
    """

    def __init__(
        self, adjacency: Any, *, labels: ArrayLike | None = None, weighted: bool = True, component: str = "all"
    ) -> None:
        check_choice(component, "component", COMPONENTS)
        graph = _undirected(adjacency)
        names = name_array(labels, graph.shape[0])
        parts, part = connected_components(graph, directed=False)
        if parts > 1:
            if component == "all":
                raise InputError(
                    "adjacency",
                    got=describe_components(part.astype(np.int64), names),
                    expected="a connected graph",
                    remedy='labels of other components are infinitely far: join them, or pass component="largest"',
                )
            kept = np.flatnonzero(part == np.bincount(part).argmax())
            graph, names = graph[kept][:, kept], names[kept]
        super().__init__(len(names), names)
        self.weighted = weighted
        self.adjacency = graph

    @classmethod
    def from_edges(
        cls,
        edges: Iterable[Sequence[Any]],
        *,
        lengths: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        component: str = "all",
    ) -> GraphMetric:
        """Build from pairs of names; of parallel edges the shortest counts.

        Parameters: ``lengths (E,)`` (None: 1 each); ``labels`` all names in the order of their ids (None: sorted).
        Raises ``InputError`` for an edge with an unlisted name, and as the class does. O(E log E).
        """
        ends, names = numbered_edges(edges, labels)
        weights = np.ones(len(ends)) if lengths is None else np.asarray(lengths, dtype=np.float64)
        if weights.shape != (len(ends),):
            raise InputError("lengths", got=f"shape {weights.shape}", expected=f"shape ({len(ends)},), one per edge")
        low, high = ends.min(axis=1), ends.max(axis=1)
        order = np.lexsort((weights, high, low))
        low, high, weights = low[order], high[order], weights[order]
        first = np.ones(len(low), dtype=bool)
        first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        _check_lengths(weights)
        pairs = (weights[first], (low[first], high[first]))
        adjacency = coo_array(pairs, shape=(len(names), len(names)))
        return cls(adjacency, labels=names, weighted=lengths is not None, component=component)

    def distance(self, a: ArrayLike, b: ArrayLike) -> FloatArray:
        """Return distances between the ids ``a`` and ``b``, which broadcast: one search per distinct id of ``a``."""
        left, right = np.broadcast_arrays(self.checked(a, "a"), self.checked(b, "b"))
        sources, inverse = np.unique(left.ravel(), return_inverse=True)
        found = np.empty(left.size)
        for chosen in blocks(len(sources), len(self), SEARCH_BYTES):
            rows = self.distances(sources[chosen])
            here = (inverse >= chosen.start) & (inverse < chosen.stop)
            found[here] = rows[inverse[here] - chosen.start, right.ravel()[here]]
        return found.reshape(left.shape)

    def distances(self, rows: ArrayLike, columns: IntArray | None = None) -> FloatArray:
        """Return float64 distances ``(K, M)``; O(K (E + N log N)) whatever ``columns``."""
        ids = self.checked(rows, "rows")
        width = len(self) if columns is None else len(columns)
        result = np.empty((len(ids), width))
        for chosen in blocks(len(ids), len(self), SEARCH_BYTES):
            found = dijkstra(self.adjacency, directed=False, indices=ids[chosen], unweighted=not self.weighted)
            result[chosen] = found if columns is None else found[:, columns]
        return result


def numbered_edges(edges: Iterable[Sequence[Any]], labels: ArrayLike | None) -> tuple[IntArray, np.ndarray]:
    """Return edges ``(E, 2)`` as ids and the names behind the ids (``labels``, or all names, sorted)."""
    pairs = np.asarray(list(edges))
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise InputError("edges", got=f"shape {pairs.shape}", expected="pairs of labels, shape (E, 2)")
    distinct, inverse = np.unique(pairs, return_inverse=True)
    inverse = inverse.reshape(pairs.shape)
    if labels is None:
        return inverse.astype(np.int64), distinct
    names = np.asarray(labels)
    order = np.argsort(names, kind="stable")
    place = np.searchsorted(names[order], distinct).clip(max=len(names) - 1)
    unknown = names[order][place] != distinct
    if unknown.any():
        raise InputError("edges", got=f"the label {distinct[unknown][0]!s}", expected="labels of the list given")
    return order[place][inverse].astype(np.int64), names


def _undirected(adjacency: Any) -> csr_array:
    if not issparse(adjacency):
        dense = np.asarray(adjacency)
        if dense.ndim != 2 or dense.dtype.kind not in "fiub":
            raise InputError("adjacency", got=f"{dense.dtype} of shape {dense.shape}", expected="a square matrix")
        adjacency = coo_array(dense)
    given = coo_array(adjacency).astype(np.float64)
    if given.shape[0] != given.shape[1]:
        raise InputError("adjacency", got=f"shape {given.shape}", expected="a square matrix")
    given.sum_duplicates()
    _check_lengths(given.data)
    row, column = given.coords
    loops = row == column
    graph = csr_array((given.data[~loops], (row[~loops], column[~loops])), shape=given.shape)
    both = graph.maximum(graph.T)
    differs = abs(graph.minimum(graph.T) - both) > 1e-9 * both
    # a length that is missing in one direction is 0 there, which is no contradiction
    clash = differs.multiply(graph.minimum(graph.T) > 0)
    if clash.nnz:
        i, j = (int(axis[0]) for axis in clash.nonzero())
        raise InputError("adjacency", got=f"two lengths for the edge of labels {i} and {j}", expected="one")
    return csr_array(both)


def _check_lengths(lengths: FloatArray) -> None:
    wrong = ~(np.isfinite(lengths) & (lengths > 0))
    if wrong.any():
        raise InputError("lengths", got=f"an edge of length {lengths[wrong][0]}", expected="finite lengths > 0")
