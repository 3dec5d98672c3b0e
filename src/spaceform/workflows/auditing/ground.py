"""What every part of an audit stands on: the rows looked at, and the nearest neighbours of a sample of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spaceform.geometry.poincare import log0
from spaceform.metrics.neighborhood import neighbor_distances
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.ops.pairs import ZERO_NORM
from spaceform.rng import as_generator, derive_seed
from spaceform.space import Space
from spaceform.types import FloatArray, IntArray

LISTED = 20
"""Neighbours kept per row: enough for the dimension estimate; hubs look at the first ten."""

POOL = 10
"""Neighbours are searched among so many times the sample, at most."""


@dataclass(frozen=True, eq=False)
class Ground:
    """Vectors ``X (n, d)``, the ``pool`` of rows searched in, and the ``queries`` whose neighbours are known.

    ``neighbors (m, k)`` are row numbers of the Space, ``distances`` exact and ascending, one list per query. Pool and
    queries are ascending row numbers; both are all rows when the Space is no larger than the sample.
    """

    X: FloatArray = field(repr=False)
    ids: np.ndarray = field(repr=False)
    pool: IntArray = field(repr=False)
    queries: IntArray = field(repr=False)
    neighbors: IntArray = field(repr=False)
    distances: FloatArray = field(repr=False)
    seed: int

    def draw(self, rows: IntArray, count: int, what: str) -> IntArray:
        """Return ``count`` of ``rows``, ascending; all of them if there are no more. The same for the same ``what``."""
        return draw(rows, count, seed=self.seed, what=what)

    def directed(self) -> IntArray:
        """Return the queries whose vector is not 0, so that it has a direction."""
        rows = self.X[self.queries]
        return self.queries[np.einsum("nd,nd->n", rows, rows) > ZERO_NORM**2]


def prepare(space: Space, *, sample: int, seed: int) -> Ground:
    """Draw pool and queries and search the queries' neighbours. O(sample * pool * d).

    Vectors in the Poincare ball are taken to the tangent space at its origin.
    """
    X = space.vectors
    if space.geometry == "poincare":
        X = np.asarray(log0(X.astype(np.float64), 1.0), dtype=np.float32)
    pool = draw(np.arange(len(X)), POOL * sample, seed=seed, what="pool")
    queries = draw(pool, sample, seed=seed, what="queries")
    neighbors, distances = search(X, queries, pool, k=min(LISTED, len(pool) - 1))
    return Ground(X, space.ids, pool, queries, neighbors, distances, seed)


def draw(rows: IntArray, count: int, *, seed: int, what: str) -> IntArray:
    """Return ``count`` of ``rows``, ascending; all of them if there are no more."""
    if len(rows) <= count:
        return rows
    return np.sort(as_generator(derive_seed(seed, "audit", what)).choice(rows, count, replace=False))


def search(X: FloatArray, queries: IntArray, pool: IntArray, *, k: int) -> tuple[IntArray, FloatArray]:
    """Return row numbers and exact distances ``(m, k)`` of the nearest pool rows of each query, itself left out."""
    centre = X[pool].mean(0, dtype=np.float64).astype(X.dtype)  # small norms keep the digits of small distances
    _, found = nearest_neighbors(X[queries] - centre, X[pool] - centre, k=k + 1)
    lists = pool[found]
    own = lists == queries[:, None]
    own[~own.any(1), -1] = True  # many equal rows: the query itself was not among the first
    lists = lists[~own].reshape(len(queries), k)
    distances = neighbor_distances(X, lists, queries)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(lists, order, 1), np.take_along_axis(distances, order, 1)
