"""The store in memory: exact search over arrays. No dependency, and what the tests hold all other stores to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from spaceform.errors import InputError
from spaceform.search.filters import Expr
from spaceform.search.stores.collection import Collection
from spaceform.search.stores.engine import Rows, Vectors, nearest_of
from spaceform.types import IntArray


class MemoryEngine:
    """Collections in this process, each an array of vectors and an Arrow table; exact, O(n d) per query.

    Filters are evaluated as they were written, by `Expr.mask`.
    """

    failures: tuple[type[Exception], ...] = ()

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._collections: dict[str, Collection] = {}
        self._rows: dict[str, Rows] = {}

    def names(self) -> list[str]:
        """Return the names of the collections."""
        return list(self._collections)

    def read(self, name: str) -> Collection | None:
        """Return a collection, or None."""
        return self._collections.get(name)

    def create(self, collection: Collection) -> None:
        """Make a collection without rows."""
        self._collections[collection.name] = collection
        self._rows[collection.name] = Rows.none(collection)

    def drop(self, collection: Collection) -> None:
        """Remove a collection."""
        del self._collections[collection.name], self._rows[collection.name]

    def upsert(self, collection: Collection, rows: Rows) -> None:
        """Write rows, kept in the order of their ids; O(n d)."""
        old = self._rows[collection.name]
        kept = old.of(~np.isin(old.ids, rows.ids))
        whole = Rows(
            np.concatenate([kept.ids, rows.ids]), np.concatenate([kept.vectors, rows.vectors]),
            pa.concat_tables([kept.fields, rows.fields]),
        )  # fmt: skip
        self._rows[collection.name] = whole.of(np.argsort(whole.ids))

    def delete(self, collection: Collection, which: IntArray | Expr) -> None:
        """Remove rows."""
        rows = self._rows[collection.name]
        gone = rows.passing(which) if isinstance(which, Expr) else np.isin(rows.ids, which)
        self._rows[collection.name] = rows.of(~gone)

    def count(self, collection: Collection, where: Expr) -> int:
        """Count the rows that pass."""
        return int(self._rows[collection.name].passing(where).sum())

    def search(self, collection: Collection, queries: Vectors, k: int, *, where: Expr, exact: bool) -> IntArray:
        """Search exactly, as always; ties go to the lowest id."""
        rows = self._rows[collection.name]
        return nearest_of(rows.of(rows.passing(where)), queries, k, metric=collection.metric)

    def take(self, collection: Collection, ids: IntArray) -> Rows:
        """Return rows by id."""
        rows = self._rows[collection.name]
        return rows.of(np.isin(rows.ids, ids))

    def optimize(self, collection: Collection) -> None:
        """Nothing to build."""

    def close(self) -> None:
        """Nothing to give back."""


def connect(place: str, *, token: str) -> MemoryEngine:
    """Return an engine of its own; ``InputError`` for a place or a token, of which it has none."""
    if place or token:
        raise InputError("uri", got=f"memory:{place:.60}", expected="memory: alone, without a token")
    return MemoryEngine()
