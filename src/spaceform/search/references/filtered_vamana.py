"""Filtered-Vamana and Stitched-Vamana: one graph in which the rows of every label can be walked by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_integer, check_real
from spaceform.search.graphs.vamana import Data, Graph, build_vamana, complete, medoid, prune_all, search
from spaceform.search.references.contract import AbstractReference, Asked
from spaceform.search.references.labels import Labels
from spaceform.types import IntArray, RandomState


@final
class FilteredVamana(AbstractReference):
    """Filtered-Vamana (Gollapudi et al. 2023): the walk passes only rows that share a label with the query.

    Every label has a start row. A link may cover another only if it has all the labels that the two ends share. With
    ``stitched`` each label has a Vamana of its own first (``stitched`` links per row), and the union of their
    links is pruned by the same rule: Stitched-Vamana (FDANN in the comparison of Iff et al.).

    Parameters: ``columns`` whose values are labels (None: all of text and lists of texts); ``links`` (R),
    ``build_list`` and ``search_list`` (L), ``alpha`` >= 1, ``stitched`` (None, or R_small).

    Serves one condition on one column: ``= value``, ``IN``, ``CONTAINS``, ``CONTAINS ANY``; ranges, conjunctions and no
    condition at all are refused with ``InputError``. O(n build_list links d) to build, O(search_list links d) a query.

    >>> index = FilteredVamana(metric="euclidean").fit([[0.0], [1.0], [2.0]], {"a": ["x", "y", "x"]})
    >>> index.query([[1.4]], 1, where="a = 'x'").rows
    array([[2]])
    """

    def __init__(
        self, *, columns: Sequence[str] | None = None, links: int = 48, build_list: int = 100, search_list: int = 64,
        alpha: float = 1.2, stitched: int | None = None, metric: str = "cosine", random_state: RandomState = 0,
    ) -> None:  # fmt: skip
        self.columns = columns
        self.links = links
        self.build_list = build_list
        self.search_list = search_list
        self.alpha = alpha
        self.stitched = stitched
        self.metric = metric
        self.random_state = random_state

    def _build(self, generator: np.random.Generator) -> None:
        check_integer(self.links, "links", low=1)
        check_integer(self.build_list, "build_list", low=1)
        check_real(self.alpha, "alpha", low=1.0)
        self._labels = Labels(self._attributes.table, self.columns)
        self._data = Data.of(self._rows, self._labels.bits)
        members = list(self._labels.members())
        self._starts = np.array([int(generator.choice(rows)) for rows in members])
        if self.stitched is not None:
            check_integer(self.stitched, "stitched", low=1)
            self._graph = self._sewn(members, generator)
            return
        self._graph = build_vamana(
            self._data, degree=self.links, build_list=self.build_list, alpha=self.alpha,
            starts=np.array([medoid(self._rows), *self._starts]), generator=generator,
        )  # fmt: skip

    def _sewn(self, members: Sequence[IntArray], generator: np.random.Generator) -> Graph:
        """Build a graph for each label, join their links, and prune what is too long."""
        assert self.stitched is not None  # noqa: S101  the caller looked
        pairs = []
        for label, rows in enumerate(members):
            if len(rows) <= self.stitched + 1:
                graph = complete(len(rows))
            else:
                data, start = Data.of(self._rows[rows]), medoid(self._rows[rows])
                self._starts[label] = rows[start]
                graph = build_vamana(
                    data, degree=self.stitched, build_list=self.build_list, alpha=self.alpha,
                    starts=np.array([start]), generator=generator,
                )  # fmt: skip
            held = np.arange(graph.links.shape[1]) < graph.degree[:, None]
            ends = rows[graph.links[held]]
            pairs.append(np.stack([np.repeat(rows, graph.degree), ends], axis=1))
        joined = joined_graph(np.concatenate(pairs), len(self._rows))
        prune_all(tuple(self._data), tuple(joined), self.alpha, self.links)
        return joined

    def _find(self, queries: NDArray[np.float32], k: int, asked: Asked) -> tuple[NDArray[np.integer[Any]], IntArray]:
        labels = self._labels.any_of(asked.tree())
        if not len(labels):
            return np.empty((len(queries), 0), np.int64), np.zeros(len(queries), np.int64)
        starts = np.broadcast_to(self._starts[labels], (len(queries), len(labels)))
        wanted = np.tile(self._labels.words(labels), (len(queries), 1))
        return search(self._data, self._graph, queries, k, length=self.search_list, starts=starts, wanted=wanted)


def joined_graph(pairs: IntArray, n: int) -> Graph:
    """Return the graph of the links ``pairs (m, 2)``, each once; O(m log m)."""
    pairs = np.unique(pairs, axis=0) if len(pairs) else pairs
    degree = np.bincount(pairs[:, 0], minlength=n).astype(np.int32)
    links = np.full((n, max(1, int(degree.max(initial=0)))), -1, np.int32)
    place = np.arange(len(pairs)) - np.repeat(np.cumsum(degree) - degree, degree)
    links[pairs[:, 0], place] = pairs[:, 1]
    return Graph(links, degree)
