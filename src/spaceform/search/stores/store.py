"""One interface for all vector stores; the checks, and the proof of answers, that all of them share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer
from spaceform.errors import InputError, SpaceformError, StoreError
from spaceform.search.filtered.rows import check_ids, check_rows, listed_ids
from spaceform.search.filters import Expr
from spaceform.search.stores.answers import check_filter, scored, violation
from spaceform.search.stores.collection import Collection, FieldTypes, is_name
from spaceform.search.stores.engine import Engine, Rows
from spaceform.search.stores.fields import check_fields
from spaceform.types import FloatArray, IntArray


@dataclass(frozen=True)
class Hits:
    """Answers to q queries, nearest first: ``ids (q, k)`` int64, -1 padded, ``scores (q, k)`` float64, -inf padded.

    Higher scores are better: the cosine in [-1, 1], the inner product, or minus the distance. ``fields`` are those of
    all rows that were found, by id.
    """

    ids: IntArray
    scores: FloatArray
    fields: Mapping[int, dict[str, Any]]


class VectorStore(Protocol):
    """Vectors with ids and typed fields in named collections, searched under a filter; one meaning in every engine.

    Ids are integers from 0 to 2^62. Filters are those of ``--where`` (text or `Expr`). Every method refuses what does
    not fit with ``InputError`` (``FilterError`` for filters) before the engine sees it.
    """

    def names(self) -> list[str]:
        """Return the names of the collections."""
        ...

    def create(
        self, name: str, dim: int, *, metric: str = "cosine", fields: FieldTypes | None = None, index: str = "auto",
        info: Mapping[str, Any] | None = None,
    ) -> Collection:  # fmt: skip
        """Make a collection; a name that is taken is refused."""
        ...

    def describe(self, name: str) -> Collection:
        """Return width, metric and fields of a collection."""
        ...

    def drop(self, name: str) -> None:
        """Remove a collection with its rows."""
        ...

    def upsert(self, name: str, ids: ArrayLike, vectors: ArrayLike, fields: Any = None) -> None:
        """Write rows: ids ``(n,)``, vectors ``(n, d)``, one column per field; rows of the same id are replaced."""
        ...

    def delete(self, name: str, *, ids: ArrayLike | None = None, where: str | Expr | None = None) -> None:
        """Remove rows by id (ids that are not there change nothing) or by a filter."""
        ...

    def count(self, name: str, where: str | Expr | None = None) -> int:
        """Return how many rows pass a filter."""
        ...

    def take(self, name: str, ids: ArrayLike) -> Rows:
        """Return the rows of these ids that are there, in the order of their ids."""
        ...

    def search(self, name: str, queries: ArrayLike, k: int, *, where: str | Expr | None = None) -> Hits:
        """Return the ``min(k, passing rows)`` nearest passing rows of each query ``(q, d)``."""
        ...

    def optimize(self, name: str) -> None:
        """Build what makes search fast, after many rows were written."""
        ...

    def close(self) -> None:
        """Give back connections and locks."""
        ...


class CheckedStore:
    """A `VectorStore` on an engine: checks what goes in, and holds what comes out to what was asked.

    An approximate index under a filter may find fewer rows than there are: such an answer is asked for again without
    the index. Every row that is found is fetched; its fields must pass the filter by our own evaluation of it, and its
    vector gives the score. An engine that fails twice raises ``StoreError``; nothing short or violating is passed on.
    """

    def __init__(self, engine: Engine) -> None:
        """Check for ``engine``."""
        self._engine = engine

    def __enter__(self) -> CheckedStore:
        """Return itself; the end of the block closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def names(self) -> list[str]:
        """Return the names of the collections."""
        with self._asking("names"):
            return sorted(self._engine.names())

    def create(
        self, name: str, dim: int, *, metric: str = "cosine", fields: FieldTypes | None = None, index: str = "auto",
        info: Mapping[str, Any] | None = None,
    ) -> Collection:  # fmt: skip
        """Make a collection; a name that is taken is refused."""
        collection = Collection.checked(name, dim, metric=metric, fields=fields, index=index, info=info)
        with self._asking(name):
            if self._engine.read(name) is not None:
                raise InputError("name", got=f"{name!r}, which is there", expected="a new name", remedy="drop it first")
            self._engine.create(collection)
        return collection

    def describe(self, name: str) -> Collection:
        """Return width, metric and fields of a collection."""
        with self._asking(name):
            found = self._engine.read(name) if is_name(name) else None
        if found is None:
            there = ", ".join(map(repr, self.names()[:20])) or "none yet"
            raise InputError("name", got=f"{name!r:.60}", expected=f"a collection of this store: {there}")
        return found

    def drop(self, name: str) -> None:
        """Remove a collection with its rows."""
        collection = self.describe(name)
        with self._asking(name):
            self._engine.drop(collection)

    def upsert(self, name: str, ids: ArrayLike, vectors: ArrayLike, fields: Any = None) -> None:
        """Write rows: ids ``(n,)``, vectors ``(n, d)``, one column per field; rows of the same id are replaced."""
        collection = self.describe(name)
        rows = check_rows(vectors, "vectors", collection.metric, width=collection.dim)
        if ids is None:
            raise InputError("ids", got="None", expected="one integer per row")
        numbers = check_ids(ids, len(rows), 0)
        checked = Rows(numbers, rows, check_fields(fields, len(rows), collection))
        with self._asking(name):
            self._engine.upsert(collection, checked)

    def delete(self, name: str, *, ids: ArrayLike | None = None, where: str | Expr | None = None) -> None:
        """Remove rows by id (ids that are not there change nothing) or by a filter."""
        collection = self.describe(name)
        if (ids is None) == (where is None):
            given = "neither" if ids is None else "both"
            raise InputError("ids, where", got=given, expected="one of them", remedy="where='TRUE' removes all rows")
        which: IntArray | Expr = check_filter(where, collection) if ids is None else listed_ids(ids)
        if isinstance(which, Expr) or len(which):
            with self._asking(name):
                self._engine.delete(collection, which)

    def count(self, name: str, where: str | Expr | None = None) -> int:
        """Return how many rows pass a filter."""
        collection = self.describe(name)
        expr = check_filter(where, collection)
        with self._asking(name):
            return self._engine.count(collection, expr)

    def take(self, name: str, ids: ArrayLike) -> Rows:
        """Return the rows of these ids that are there, in the order of their ids."""
        return self._taken(self.describe(name), listed_ids(ids))

    def search(self, name: str, queries: ArrayLike, k: int, *, where: str | Expr | None = None) -> Hits:
        """Return the ``min(k, passing rows)`` nearest passing rows of each query ``(q, d)``.

        Raises ``StoreError`` when the engine, asked twice, finds fewer or other rows than those that pass.
        """
        collection = self.describe(name)
        asked = check_rows(queries, "queries", collection.metric, width=collection.dim)
        check_integer(k, "k", low=1, high=16_384)
        expr = check_filter(where, collection)
        wrong = ""
        for exact in (False, True):
            with self._asking(name):
                found = self._engine.search(collection, asked, k, where=expr, exact=exact)
            wrong = self._shortage(collection, found, expr)
            if wrong:
                continue
            rows = self._taken(collection, np.unique(found[found >= 0]))
            wrong = violation(found, rows, expr)
            if not wrong:
                ids, scores = scored(found, rows, asked, metric=collection.metric)
                return Hits(ids, scores, dict(zip(rows.ids.tolist(), rows.records(), strict=True)))
        raise StoreError(f"{name}: {wrong}, asked twice (rows may be changing too fast)")

    def optimize(self, name: str) -> None:
        """Build what makes search fast, after many rows were written."""
        collection = self.describe(name)
        with self._asking(name):
            self._engine.optimize(collection)

    def close(self) -> None:
        """Give back connections and locks."""
        self._engine.close()

    @contextmanager
    def _asking(self, name: object) -> Iterator[None]:
        try:
            yield
        except SpaceformError:
            raise
        except self._engine.failures as error:
            text = str(error).strip().split("\n", 1)[0] or type(error).__name__
            raise StoreError(f"{name}: {text:.300}") from error

    def _taken(self, collection: Collection, ids: IntArray) -> Rows:
        if not len(ids):
            return Rows.none(collection)
        with self._asking(collection.name):
            rows = self._engine.take(collection, ids)
        return rows.of(np.argsort(rows.ids))

    def _shortage(self, collection: Collection, found: IntArray, expr: Expr) -> str:
        """Say what is wrong with the number of answers, if anything."""
        k = found.shape[1]
        least = int((found >= 0).sum(axis=1).min())
        if least < k:
            with self._asking(collection.name):
                passing = self._engine.count(collection, expr)
            if least < min(k, passing):
                return f"the engine found {least} rows for k = {k}, where {passing} pass"
        return ""
