"""What an adapter gives to a store: few operations on input that was checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spaceform.search.exact import exact_search
from spaceform.search.filters import Expr
from spaceform.search.stores.collection import Collection
from spaceform.types import BoolArray, IntArray

Vectors = NDArray[np.float32]


class Rows(NamedTuple):
    """Rows of a collection: ids ``(m,)``, vectors ``(m, d)`` and their fields, a table in the collection's schema."""

    ids: IntArray
    vectors: Vectors
    fields: pa.Table

    def of(self, which: BoolArray | IntArray) -> Rows:
        """Return some of the rows: those of a mask, or of positions, in their order."""
        where = np.flatnonzero(which) if which.dtype == np.bool_ else which
        fields = self.fields.take(pa.array(where, pa.int64())) if self.fields.num_columns else self.fields
        return Rows(self.ids[where], self.vectors[where], fields)

    def passing(self, where: Expr) -> BoolArray:
        """Return which rows pass a filter, by our own evaluation of it."""
        if not where.columns():  # a table without columns does not know how many rows it has
            return where.mask(pa.table({"": pa.array(self.ids)}))
        return where.mask(self.fields)

    def records(self) -> list[dict[str, Any]]:
        """Return the fields of each row."""
        return self.fields.to_pylist() if self.fields.num_columns else [{} for _ in self.ids]

    @classmethod
    def none(cls, collection: Collection) -> Rows:
        """Return no rows."""
        return cls(np.empty(0, np.int64), np.empty((0, collection.dim), np.float32), collection.arrow.empty_table())


class Engine(Protocol):
    """One engine. Filters were checked against the collection's fields, arrays are finite and of the right shape.

    ``failures`` are the errors of the engine's own client, which the store turns into ``StoreError``.
    """

    failures: tuple[type[Exception], ...]

    def names(self) -> list[str]:
        """Return the names of the collections."""
        ...

    def read(self, name: str) -> Collection | None:
        """Return a collection, or None if there is none of that name."""
        ...

    def create(self, collection: Collection) -> None:
        """Make a collection without rows."""
        ...

    def drop(self, collection: Collection) -> None:
        """Remove a collection with its rows."""
        ...

    def upsert(self, collection: Collection, rows: Rows) -> None:
        """Write rows, in the place of those of the same id."""
        ...

    def delete(self, collection: Collection, which: IntArray | Expr) -> None:
        """Remove the rows of these ids, or those that pass a filter; ids that are not there change nothing."""
        ...

    def count(self, collection: Collection, where: Expr) -> int:
        """Return how many rows pass; exact."""
        ...

    def search(self, collection: Collection, queries: Vectors, k: int, *, where: Expr, exact: bool) -> IntArray:
        """Return the ids of the nearest passing rows of each query, ``(q, k)``, -1 padded.

        ``exact`` is asked for where an approximate index came back with too few. The store works out the scores.
        """
        ...

    def take(self, collection: Collection, ids: IntArray) -> Rows:
        """Return the rows of these ids that are there, in any order."""
        ...

    def optimize(self, collection: Collection) -> None:
        """Build what makes search fast, after many rows were written."""
        ...

    def close(self) -> None:
        """Give back connections and locks."""
        ...


def padded(answers: Iterable[Sequence[int] | IntArray], k: int) -> IntArray:
    """Return lists of ids of any lengths as ``(q, k)``, -1 where there are fewer."""
    listed = list(answers)
    ids = np.full((len(listed), k), -1, np.int64)
    for row, found in enumerate(listed):
        ids[row, : min(k, len(found))] = found[:k]
    return ids


def nearest_of(rows: Rows, queries: Vectors, k: int, *, metric: str) -> IntArray:
    """Return the ids of the nearest of ``rows`` for each query, by exact search, -1 padded."""
    if not len(rows.ids):
        return padded([[]] * len(queries), k)
    return padded(rows.ids[exact_search(queries, rows.vectors, k=k, metric=metric).rows], k)
