"""The two plain ways: filter first and scan what is left; or search a graph and drop what does not pass."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_integer
from spaceform.search.graphs.hnsw import build_hnsw, search_hnsw
from spaceform.search.graphs.vamana import Data
from spaceform.search.references.contract import AbstractReference, Asked
from spaceform.types import IntArray, RandomState


@final
class PreFilterIndex(AbstractReference):
    """Pre-filtering: an attribute index gives the passing rows, which are all compared.

    Parameters: ``metric`` "cosine" or "euclidean"; ``search_list`` is not used. Any filter. Exact. Refuses bad rows and
    conditions with ``InputError``. O(n / 64 + matches d) a query.

    >>> index = PreFilterIndex(metric="euclidean").fit([[0.0], [1.0], [2.0]], {"a": [1, 2, 1]})
    >>> index.query([[1.4]], 1, where="a = 1").rows
    array([[2]])
    """

    def __init__(self, *, metric: str = "cosine", search_list: int = 1, random_state: RandomState = 0) -> None:
        self.metric = metric
        self.search_list = search_list
        self.random_state = random_state

    def _build(self, generator: np.random.Generator) -> None:
        """Do nothing: the attributes are indexed when they are asked for."""

    def _find(self, queries: NDArray[np.float32], k: int, asked: Asked) -> tuple[IntArray, IntArray]:
        return self._scan(queries, k, np.flatnonzero(asked.mask()))


@final
class PostFilterIndex(AbstractReference):
    """Post-filtering: HNSW is asked for k' rows, those that do not pass are dropped, and k' doubled until k are left.

    Parameters: ``links`` per row and level (M); ``build_list`` (efConstruction); ``search_list`` (ef, at least k');
    ``most`` the share of all rows that k' may reach, beyond which the passing rows are scanned. Any filter. Raises
    ``InputError`` for bad rows and conditions. O(log n + k' links d) a query, with k' about k n / matches.

    >>> index = PostFilterIndex(metric="euclidean").fit([[0.0], [1.0], [2.0]], {"a": [1, 2, 1]})
    >>> index.query([[1.4]], 1, where="a = 1").rows
    array([[2]])
    """

    def __init__(
        self, *, links: int = 16, build_list: int = 100, search_list: int = 40, most: float = 0.1,
        metric: str = "cosine", random_state: RandomState = 0,
    ) -> None:  # fmt: skip
        self.links = links
        self.build_list = build_list
        self.search_list = search_list
        self.most = most
        self.metric = metric
        self.random_state = random_state

    def _build(self, generator: np.random.Generator) -> None:
        check_integer(self.links, "links", low=2)
        check_integer(self.build_list, "build_list", low=1)
        self._data = Data.of(self._rows)
        self._graph = build_hnsw(self._data, links=self.links, build_list=self.build_list, generator=generator)

    def _find(self, queries: NDArray[np.float32], k: int, asked: Asked) -> tuple[NDArray[np.integer[Any]], IntArray]:
        mask = asked.mask()
        answers = np.full((len(queries), k), -1)
        scored, left = np.zeros(len(queries), np.int64), np.arange(len(queries))
        wanted, width = min(k, int(mask.sum())), max(k, self.search_list)
        found: NDArray[np.integer[Any]]
        while len(left) and wanted:
            if width > max(self.most * len(mask), k):
                found, more = self._scan(queries[left], k, np.flatnonzero(mask))
                found = self._rescored(queries[left], found, asked)[0]
            else:
                found, more = search_hnsw(self._data, self._graph, queries[left], width, length=width)
            scored[left] += more
            passing = (found >= 0) & mask[found]
            enough = (passing.sum(axis=1) >= wanted) | (width > max(self.most * len(mask), k))
            for at in np.flatnonzero(enough).tolist():
                some = found[at][passing[at]][:k]
                answers[left[at], : len(some)] = some
            left = left[~enough]
            width *= 2
        return answers, scored
