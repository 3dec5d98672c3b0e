"""NHQ: attributes as part of the distance, in one graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_integer, check_real
from spaceform.rng import as_generator
from spaceform.search.graphs.vamana import Data, build_vamana, search
from spaceform.search.references.contract import AbstractReference, Asked
from spaceform.search.references.labels import Labels
from spaceform.types import FloatArray, IntArray, RandomState


@final
class NhqIndex(AbstractReference):
    """NHQ (Wang et al. 2023): a graph of the fused distance ``d(q, x)^2 + weight * (columns that differ)``.

    Its answers MAY VIOLATE the condition: a row that does not pass is only farther. With a large ``weight`` these come
    after all passing rows that were found. Walks begin at rows drawn at random, as in NHQ-kgraph: rare values are
    missed when none of these rows, and no link from them, leads there.

    Parameters: ``columns`` that are compared (None: all of text); ``weight`` of a mismatch; ``links``, ``build_list``,
    ``search_list`` (as many rows are drawn to begin at). Serves equalities joined by AND, and none at all; raises
    ``InputError`` for others. O(n build_list links d) to build, O(search_list links d) a query.

    >>> index = NhqIndex(metric="euclidean").fit([[0.0], [1.0], [2.0]], {"a": ["x", "y", "x"]})
    >>> index.query([[1.4]], 3, where="a = 'x'").rows
    array([[2, 0, 1]])
    """

    def __init__(
        self, *, columns: Sequence[str] | None = None, weight: float = 1e6, links: int = 32, build_list: int = 100,
        search_list: int = 64, metric: str = "cosine", random_state: RandomState = 0,
    ) -> None:  # fmt: skip
        self.columns = columns
        self.weight = weight
        self.links = links
        self.build_list = build_list
        self.search_list = search_list
        self.metric = metric
        self.random_state = random_state

    def _build(self, generator: np.random.Generator) -> None:
        check_integer(self.links, "links", low=1)
        check_integer(self.build_list, "build_list", low=1)
        check_real(self.weight, "weight", low=0.0)
        self._labels = Labels(self._attributes.table, self.columns)
        self._data = Data.of(self._rows, codes=self._labels.codes, weight=self.weight)
        self._graph = build_vamana(
            self._data, degree=self.links, build_list=self.build_list, alpha=1.0, starts=np.zeros(1, np.int64),
            generator=generator, drawn=self.build_list // 2,
        )  # fmt: skip

    def _find(self, queries: NDArray[np.float32], k: int, asked: Asked) -> tuple[NDArray[np.integer[Any]], IntArray]:
        wanted = self._labels.equal_to(asked.tree())
        if wanted is None:
            return np.empty((len(queries), 0), np.int64), np.zeros(len(queries), np.int64)
        n = len(self._rows)
        drawn = as_generator(0).choice(n, min(self.search_list, n), replace=False)
        starts = np.broadcast_to(drawn, (len(queries), len(drawn)))
        codes = np.tile(wanted, (len(queries), 1))
        return search(self._data, self._graph, queries, k, length=self.search_list, starts=starts, codes=codes)

    def _rescored(
        self, queries: NDArray[np.float32], found: NDArray[np.integer[Any]], asked: Asked
    ) -> tuple[IntArray, FloatArray]:
        """Put what passes first: by closeness alone rows that do not pass would stand between those that do."""
        rows, closeness = super()._rescored(queries, found, asked)
        wanted = self._labels.equal_to(asked.tree())
        if wanted is None:
            return rows, closeness
        misses = ((self._labels.codes[rows] != wanted) & (wanted >= 0)).sum(axis=2)
        order = np.argsort(np.where(rows < 0, len(wanted) + 1, misses), axis=1, kind="stable")
        return np.take_along_axis(rows, order, 1), np.take_along_axis(closeness, order, 1)
