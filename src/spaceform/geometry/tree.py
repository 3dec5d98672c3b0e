"""Path lengths in a tree of labels: Frechet means, loci and nearest labels in linear time, without a matrix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_real
from spaceform.errors import InputError
from spaceform.geometry import passes
from spaceform.geometry.finite import LabelMetric, describe_components, some
from spaceform.geometry.graph import numbered_edges
from spaceform.geometry.variance import blocks, tie_tolerance
from spaceform.types import BoolArray, FloatArray, IntArray

BATCH_BYTES = 2**20
"""Working set of one batch of rows in the two passes (three numbers per node and row): stays within a core's cache."""

FEWEST_ROWS = 8
"""Rows per batch that a large tree still gets: the inner loops vectorise over them."""


@final
class TreeMetric(LabelMetric):
    """Length of the path between two nodes of a tree, every node of which is a label.

    Parameters: ``parent (N,)`` the id of each label's parent, -1 for the root; ``lengths (N,)`` of the edges to the
    parents, > 0 (None: 1 each; the root's is ignored); ``labels`` names. A forest has labels at infinite distance
    and is refused, unless ``root_distance > 0`` is given: then every two roots are that far apart, joined through a
    hub that is not a label itself.

    Raises ``InputError`` for a cycle (its labels are named), several components (they are named), ids out of range
    and lengths that are not positive. Building costs O(N).

    >>> path = TreeMetric([-1, 0, 1, 2])
    >>> path.mean([0, 3], [0.6, 0.4])
    1
    """

    def __init__(
        self,
        parent: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        root_distance: float | None = None,
    ) -> None:
        up = np.asarray(parent)
        if up.ndim != 1 or up.dtype.kind not in "iu":
            raise InputError("parent", got=f"{up.dtype} of shape {up.shape}", expected="parent ids, shape (N,)")
        super().__init__(len(up), labels)
        up = up.astype(np.int64)
        if up.min() < -1 or up.max() >= len(up):
            raise InputError("parent", got="ids out of range", expected=f"-1 (root) or 0 to {len(up) - 1}")
        edge = self._edge_lengths(lengths, up)
        roots = np.flatnonzero(up < 0)
        _refuse_cycle(up, self.labels)
        if len(roots) > 1:
            up, edge = self._join(up, edge, roots, root_distance)
        order = passes.depth_first(up)
        self._position = np.empty(len(up), dtype=np.int64)
        self._position[order] = np.arange(len(up))
        self._label = np.where(order < len(self), order, -1)
        self._parent = np.append(self._position, -1)[up[order]]
        self._length = edge[order]
        self._depth = passes.depths(self._parent, self._length)

    @classmethod
    def from_edges(
        cls,
        edges: Iterable[Sequence[Any]],
        *,
        lengths: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        root: Any = None,
    ) -> TreeMetric:
        """Build from undirected pairs of names, such as ``(child, parent)`` lines of a taxonomy.

        Parameters: ``lengths (E,)`` > 0 (None: 1 each); ``labels`` all names in the order of their ids (None:
        sorted); ``root`` matters to no distance (None: the first label). Raises ``InputError`` for edges that close
        a cycle and for several components. O(E log E).
        """
        ends, names = numbered_edges(edges, labels)
        weights = np.ones(len(ends)) if lengths is None else np.asarray(lengths, dtype=np.float64)
        if weights.shape != (len(ends),):
            raise InputError("lengths", got=f"shape {weights.shape}", expected=f"shape ({len(ends)},), one per edge")
        if root is not None and root not in names.tolist():
            raise InputError("root", got=repr(root), expected="a label of the edges")
        start = 0 if root is None else names.tolist().index(root)
        parent, length = _hang(ends, weights, names, start)
        return cls(parent, lengths=length, labels=names)

    @property
    def parent(self) -> IntArray:
        """The parent ids ``(N,)``, -1 for roots."""
        above = np.where(self._parent >= 0, self._label[self._parent], -1)
        return above[self._position[: len(self)]]

    @property
    def depth(self) -> FloatArray:
        """The distance ``(N,)`` of each label from the root (from the hub, where roots are joined by one)."""
        return self._depth[self._position[: len(self)]]

    def distance(self, a: ArrayLike, b: ArrayLike) -> FloatArray:
        """Return distances between the ids ``a`` and ``b``, which broadcast; O(path length) per pair."""
        left, right = np.broadcast_arrays(self.checked(a, "a"), self.checked(b, "b"))
        ends = self._position[left.ravel()], self._position[right.ravel()]
        found: FloatArray = passes.pair_distances(self._parent, self._length, *ends)
        return found.reshape(left.shape)

    def distances(self, rows: ArrayLike, columns: IntArray | None = None) -> FloatArray:
        """Return distances ``(K, M)``; O(K N) time, whatever ``columns``."""
        sources = self._position[self.checked(rows, "rows")]
        targets = self._position[: len(self)] if columns is None else self._position[columns]
        result = np.empty((len(sources), len(targets)))
        for chosen in blocks(len(sources), len(self._parent), BATCH_BYTES):
            found = np.empty((len(sources[chosen]), len(self._parent)))
            passes.source_distances(self._parent, self._length, sources[chosen], found)
            result[chosen] = found[:, targets]
        return result

    def variances(self, weights: FloatArray, points: ArrayLike, columns: IntArray | None = None) -> FloatArray:
        """Return ``sum_k weights[n, k] d(points[k], y)^2`` as ``(n, M)``: O(n N), two passes over the tree."""
        ids = self.checked(points, "points")
        targets = self._position[: len(self)] if columns is None else self._position[columns]
        result = np.empty((len(weights), len(targets)))
        for rows, found in self._batches(np.arange(len(self._parent)), weights, ids):
            passes.gather(found, targets, result[rows])
        return result

    def means(
        self,
        weights: FloatArray,
        points: ArrayLike,
        *,
        candidates: IntArray | None = None,
        tolerance: float | None = None,
    ) -> tuple[IntArray, FloatArray]:
        """Return ids (n,) and variances (n,) of the Frechet means, O(n S) for a spanned subtree of S nodes.

        Over all labels the least variance lies within the subtree that ``points`` span (the squared distance is
        convex along every path), so the passes run on it alone; with ``candidates``, on what both span.
        """
        ids = self.checked(points, "points")
        tolerance = tie_tolerance(weights.dtype) if tolerance is None else tolerance
        kept = np.zeros(len(self._parent), dtype=bool)
        kept[self._position[ids]] = True
        allowed = self._label
        if candidates is not None:
            kept[self._position[candidates]] = True
            allowed = np.where(np.isin(self._label, candidates), self._label, -1)
        nodes = np.flatnonzero(passes.spanned(self._parent, kept))
        found = np.empty(len(weights), dtype=np.int64)
        value = np.empty(len(weights))
        for rows, variance in self._batches(nodes, weights, ids):
            passes.least(variance, allowed[nodes], tolerance, found[rows], value[rows])
        return found, value.clip(min=0)

    def spanned(self, ids: ArrayLike) -> BoolArray:
        """Return the mask ``(N,)`` of labels on a path between two of ``ids``. O(N)."""
        found: BoolArray = passes.spanned(self._parent, self._mask(ids))
        return found[self._position[: len(self)]]

    def nearest_distances(self, ids: ArrayLike) -> FloatArray:
        """Return the distance ``(N,)`` of every label from the nearest of ``ids``. O(N)."""
        found: FloatArray = passes.nearest_distances(self._parent, self._length, self._mask(ids))
        return found[self._position[: len(self)]]

    def leaves(self) -> IntArray:
        """Return the ids of the labels with at most one neighbour. O(N)."""
        degree = np.bincount(self._parent[1:], minlength=len(self._parent))
        degree[1:] += 1
        ends = self._label[degree <= 1]
        return np.sort(ends[ends >= 0])

    def _batches(self, nodes: IntArray, weights: FloatArray, ids: IntArray) -> Iterator[tuple[slice, FloatArray]]:
        """Yield slices of rows with their variances ``(len(nodes), rows)`` on the connected ``nodes`` (ascending).

        The variances are overwritten by the next batch.
        """
        place = np.empty(len(self._parent), dtype=np.int64)
        place[nodes] = np.arange(len(nodes))
        parent = np.append(place, -1)[self._parent[nodes]]
        parent[0] = -1
        length = self._length[nodes]
        depth = self._depth[nodes] - self._depth[nodes[0]]
        at = place[self._position[ids]]
        width = 3 * len(nodes)
        slices = list(blocks(len(weights), width, max(BATCH_BYTES, 8 * width * FEWEST_ROWS)))
        # one set of arrays for all batches: fresh pages would cost more than the passes
        space = np.empty((3, len(nodes) * max((rows.stop - rows.start for rows in slices), default=0)))
        for rows in slices:
            columns = np.asarray(weights[rows], dtype=np.float64).T
            shape = (len(nodes), columns.shape[1])
            weight, moment, variance = (part[: shape[0] * shape[1]].reshape(shape) for part in space)
            weight[:] = moment[:] = 0
            np.add.at(weight, at, columns)
            variance[0] = np.square(depth[at]) @ columns
            passes.variance_passes(parent, length, weight, moment, variance)
            yield rows, variance

    def _mask(self, ids: ArrayLike) -> BoolArray:
        mask = np.zeros(len(self._parent), dtype=bool)
        mask[self._position[self.checked(ids, "ids")]] = True
        return mask

    def _edge_lengths(self, lengths: ArrayLike | None, parent: IntArray) -> FloatArray:
        if lengths is None:
            return np.ones(len(parent))
        edge = np.asarray(lengths, dtype=np.float64)
        if edge.shape != parent.shape:
            raise InputError("lengths", got=f"shape {edge.shape}", expected=f"shape {parent.shape}, one per label")
        wrong = ~(np.isfinite(edge) & (edge > 0)) & (parent >= 0)
        if wrong.any():
            raise InputError(
                "lengths", got=f"{edge[wrong][0]} for {self.labels[wrong][0]!s}", expected="finite lengths > 0"
            )
        return np.where(parent >= 0, edge, 0.0)

    def _join(
        self, parent: IntArray, edge: FloatArray, roots: IntArray, root_distance: float | None
    ) -> tuple[IntArray, FloatArray]:
        if root_distance is None:
            raise InputError(
                "parent",
                got=describe_components(_component(parent), self.labels),
                expected="one tree",
                remedy="labels of other components are infinitely far: pass root_distance= to join the roots",
            )
        half = check_real(root_distance, "root_distance", low=0, open_ends=True) / 2
        joined, longer = np.append(parent, -1), np.append(edge, 0.0)
        joined[roots], longer[roots] = len(parent), half
        return joined, longer


def _component(parent: IntArray) -> IntArray:
    """Return the number of the root above each node."""
    top = np.where(parent < 0, np.arange(len(parent)), parent)
    while (top != top[top]).any():
        top = top[top]
    return np.unique(top, return_inverse=True)[1]


def _refuse_cycle(parent: IntArray, labels: np.ndarray) -> None:
    order = passes.depth_first(parent)
    if len(order) == len(parent):
        return
    hidden = np.ones(len(parent), dtype=bool)
    hidden[order] = False
    walker = int(np.flatnonzero(hidden)[0])
    for _ in range(int(hidden.sum())):
        walker = int(parent[walker])
    cycle = [walker]
    while (walker := int(parent[walker])) != cycle[0]:
        cycle.append(walker)
    raise InputError(
        "parent", got=f"a cycle of {some([str(labels[v]) for v in cycle])}", expected="a tree: a parent per label"
    )


def _hang(ends: IntArray, weights: FloatArray, names: np.ndarray, root: int) -> tuple[IntArray, FloatArray]:
    """Return parents and edge lengths of the tree of undirected ``ends (E, 2)`` seen from ``root``."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    n = len(names)
    pairs = np.sort(ends, axis=1)
    adjacency = csr_array((np.ones(len(ends)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    parts, part = connected_components(adjacency, directed=False)
    if len(ends) != n - parts:
        raise InputError(
            "edges",
            got=f"{len(ends):,} edges between {n:,} labels in {parts} component(s), so some close a cycle",
            expected=f"{n - parts:,} edges",
            remedy="keep one parent per label, or use GraphMetric",
        )
    if parts > 1:
        raise InputError(
            "edges",
            got=describe_components(part.astype(np.int64), names),
            expected="one tree",
            remedy="join the components by edges",
        )
    parent = breadth_first_order(adjacency, root, directed=False)[1].astype(np.int64)
    parent[root] = -1
    below = np.where(parent[ends[:, 0]] == ends[:, 1], ends[:, 0], ends[:, 1])
    length = np.ones(n)
    length[below] = weights
    return parent, length
