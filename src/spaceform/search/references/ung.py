"""UNG: a graph for every distinct set of labels, and links from each set to the smallest sets that contain it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_integer, check_real
from spaceform.compiled import compiled
from spaceform.errors import InputError
from spaceform.search.graphs.vamana import Data, Graph, build_vamana, complete, medoid, search
from spaceform.search.references.contract import AbstractReference, Asked
from spaceform.search.references.filtered_vamana import joined_graph
from spaceform.search.references.labels import Labels
from spaceform.types import IntArray, RandomState

_MAX_GROUPS = 20_000
"""To find the supersets of every set takes their number squared."""


@final
class UngIndex(AbstractReference):
    """Unified Navigating Graph (Cai et al. 2024): whatever can be reached from a set of labels holds all of them.

    Rows with equal label sets are a group with a Vamana (all links, if no more than ``links`` rows). A group leads to
    its children, the minimal supersets of its set: each row has ``cross`` links to the nearest rows there, and
    each child is entered at least once. A query starts in the minimal supersets of the set it asks for.

    Parameters: ``columns`` whose values are labels (None: all of text and lists of texts); ``links``, ``build_list``,
    ``alpha`` of the groups' graphs; ``cross``; ``entries`` (sigma) rows to start at; ``search_list``.

    Serves ``= value``, ``CONTAINS``, ``CONTAINS ALL``, joined by AND, and none at all. Raises ``InputError`` for other
    conditions, and for more than 20,000 distinct sets, where it builds no useful graph. O(n build_list (links +
    children) d + groups^2) to build, O(search_list links d) a query.

    >>> index = UngIndex(metric="euclidean").fit([[0.0], [1.0], [2.0]], {"a": [["x"], ["y"], ["x", "y"]]})
    >>> index.query([[1.4]], 2, where="a contains 'x'").rows
    array([[2, 0]])
    """

    def __init__(
        self, *, columns: Sequence[str] | None = None, links: int = 32, build_list: int = 100, search_list: int = 64,
        alpha: float = 1.2, cross: int = 6, entries: int = 16, metric: str = "cosine", random_state: RandomState = 0,
    ) -> None:  # fmt: skip
        self.columns = columns
        self.links = links
        self.build_list = build_list
        self.search_list = search_list
        self.alpha = alpha
        self.cross = cross
        self.entries = entries
        self.metric = metric
        self.random_state = random_state

    def _build(self, generator: np.random.Generator) -> None:
        for name in ("links", "build_list", "cross", "entries"):
            check_integer(getattr(self, name), name, low=1)
        check_real(self.alpha, "alpha", low=1.0)
        self._labels = Labels(self._attributes.table, self.columns)
        self._sets, group = np.unique(self._labels.bits, axis=0, return_inverse=True)
        if len(self._sets) > _MAX_GROUPS:
            raise InputError(
                "columns", got=f"{len(self._sets)} distinct sets of values", expected=f"at most {_MAX_GROUPS}",
                remedy="leave out columns with rare values",
            )  # fmt: skip
        order = np.argsort(group.ravel(), kind="stable")
        self._members = np.split(order, np.cumsum(np.bincount(group.ravel()))[:-1])
        self._children = _children(self._sets)
        graphs = [self._inside(rows, generator) for rows in self._members]
        pairs = [_renamed(graph, rows) for graph, rows in zip(graphs, self._members, strict=True)]
        for parent, children in enumerate(self._children):
            if len(children):
                pairs.append(self._across(parent, children, graphs))
        self._graph = joined_graph(np.concatenate(pairs), len(self._rows))

    def _inside(self, rows: IntArray, generator: np.random.Generator) -> Graph:
        if len(rows) <= self.links + 1:
            return complete(len(rows))
        data, start = Data.of(self._rows[rows]), np.array([medoid(self._rows[rows])])
        return build_vamana(
            data, degree=self.links, build_list=self.build_list, alpha=self.alpha, starts=start, generator=generator
        )

    def _across(self, parent: int, children: IntArray, graphs: Sequence[Graph]) -> IntArray:
        """Return links of the rows of a group to the nearest rows of its children, and one at least to each child."""
        rows = self._members[parent]
        asked, found, gaps = self._rows[rows], [], []
        for child in children.tolist():
            below = self._members[child]
            data, kept = Data.of(self._rows[below]), min(self.cross, len(below))
            start = np.full((len(rows), 1), medoid(data.rows))
            near = search(data, graphs[child], asked, kept, length=self.cross * 2, starts=start)[0]
            met = np.where(near >= 0, below[np.maximum(near, 0)], -1)
            steps = asked[:, None] - self._rows[np.maximum(met, 0)]
            found.append(met)
            gaps.append(np.where(met >= 0, np.einsum("nkd,nkd->nk", steps, steps), np.inf))
        nearest = np.argsort(np.hstack(gaps), axis=1, kind="stable")[:, : self.cross]
        chosen = np.take_along_axis(np.hstack(found), nearest, 1)
        pairs = np.stack([np.repeat(rows, chosen.shape[1]), chosen.ravel()], axis=1)
        bridges = [(rows[gap[:, 0].argmin()], met[gap[:, 0].argmin(), 0]) for met, gap in zip(found, gaps, strict=True)]
        return np.concatenate([pairs[pairs[:, 1] >= 0], np.array(bridges)])

    def _find(self, queries: NDArray[np.float32], k: int, asked: Asked) -> tuple[NDArray[np.integer[Any]], IntArray]:
        labels = self._labels.all_of(asked.tree())
        nothing = np.empty((len(queries), 0), np.int64), np.zeros(len(queries), np.int64)
        if labels is None:
            return nothing
        wanted = self._labels.words(labels)
        above = np.flatnonzero(((self._sets & wanted) == wanted).all(axis=1))
        if not len(above):
            return nothing
        covered = np.unique(np.concatenate([self._children[group] for group in above.tolist()]))
        least = np.setdiff1d(above, covered)
        each = max(1, -(-self.entries // len(least)))
        starts = np.concatenate([_spread(self._members[group], each) for group in least.tolist()])
        many = np.broadcast_to(starts, (len(queries), len(starts)))
        return search(Data.of(self._rows), self._graph, queries, k, length=self.search_list, starts=many)


def _spread(rows: IntArray, count: int) -> IntArray:
    """Return ``count`` rows (or all, if fewer) at even steps."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))]


def _renamed(graph: Graph, rows: IntArray) -> IntArray:
    """Return the links of a graph on some rows as pairs ``(m, 2)`` of rows."""
    held = np.arange(graph.links.shape[1]) < graph.degree[:, None]
    return np.stack([np.repeat(rows, graph.degree), rows[graph.links[held]]], axis=1)


def _children(sets: NDArray[np.uint64]) -> list[IntArray]:
    """Return the minimal proper supersets of each set; O(groups^2 words)."""
    sizes = np.bitwise_count(sets).sum(axis=1).astype(np.int64)
    order = np.argsort(sizes, kind="stable")
    parents, children = _minimal(np.ascontiguousarray(sets[order]), sizes[order])
    found: list[list[int]] = [[] for _ in sets]
    for parent, child in zip(order[parents].tolist(), order[children].tolist(), strict=True):
        found[parent].append(child)
    return [np.array(sorted(some), np.int64) for some in found]


@compiled(error_model="numpy")
def _within(sets, a, b):  # type: ignore[no-untyped-def]
    for w in range(sets.shape[1]):  # noqa: SIM110  the compiler knows no generators
        if sets[a, w] & ~sets[b, w]:
            return False
    return True


@compiled(error_model="numpy")
def _minimal(sets, sizes):  # type: ignore[no-untyped-def]
    """Return pairs (set, minimal superset) of sets sorted by size."""
    parents, children, own = [], [], np.empty(len(sets), np.int64)
    for a in range(len(sets)):
        count = 0
        for b in range(a + 1, len(sets)):
            if sizes[b] > sizes[a] and _within(sets, a, b):
                minimal = True
                for c in range(count):
                    if _within(sets, own[c], b):
                        minimal = False
                        break
                if minimal:
                    own[count] = b
                    count += 1
        for c in range(count):
            parents.append(a)
            children.append(own[c])
    return np.array(parents, dtype=np.int64), np.array(children, dtype=np.int64)
