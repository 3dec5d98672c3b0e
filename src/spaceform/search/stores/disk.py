"""The store in a folder: one filtered index per collection. No service, no dependency; one process writes at a time."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from spaceform.errors import InputError, SpaceFormatError, StoreError
from spaceform.search.filtered.index import FilteredIndex
from spaceform.search.filters import Expr
from spaceform.search.stores.collection import Collection, check_name
from spaceform.search.stores.engine import Rows, Vectors, padded
from spaceform.search.stores.normal import renamed
from spaceform.types import IntArray, PathLike

MARK = "spaceform-store"
"""A file of this name makes a folder a store."""

_RECORD, _INDEX = "collection.json", "index"
_RECALL = {"flat": 1.0, "auto": 1.0, "approximate": 0.95}


@dataclass
class _Opened:
    """An index with what its files looked like; ``writing`` if the lock is ours."""

    index: FilteredIndex
    stamp: tuple[object, ...]
    writing: bool


class DiskEngine:
    """Collections as folders. The first write of a process takes a collection's lock until `close`.

    Readers see what another process wrote when they next ask. One call of `upsert` or `delete` is one record of the
    log: after a crash all of it is there, or nothing. Answers are exact, by strict bounds and the cheapest plan;
    those of an ``approximate`` collection have recall 0.95 for queries like the rows, and less for queries far from
    all of them, for the plans were measured on the rows. Either way ``min(k, passing)`` rows are found.
    """

    failures: tuple[type[Exception], ...] = ()

    def __init__(self, folder: PathLike) -> None:
        """Name a store, or the new or empty folder of one to be; ``InputError`` for a folder of something else."""
        self._folder = Path(folder)
        self._open: dict[str, _Opened] = {}
        is_store = (self._folder / MARK).is_file()
        if not is_store and self._folder.exists() and (not self._folder.is_dir() or any(self._folder.iterdir())):
            raise InputError("uri", got=f"{folder}, which is no store", expected="a store, or a new folder")

    def names(self) -> list[str]:
        """Return the names of the collections."""
        return [path.parent.name for path in self._folder.glob(f"*/{_RECORD}")]

    def read(self, name: str) -> Collection | None:
        """Return a collection, or None."""
        path = self._folder / check_name(name) / _RECORD
        return Collection.from_json(path.read_text(encoding="utf-8"), name) if path.is_file() else None

    def create(self, collection: Collection) -> None:
        """Make a collection without rows."""
        folder = self._folder / collection.name
        folder.mkdir(parents=True, exist_ok=True)
        (self._folder / MARK).write_text("1\n", encoding="utf-8")
        waiting = folder / (_RECORD + ".next")
        waiting.write_text(collection.to_json(), encoding="utf-8")
        waiting.replace(folder / _RECORD)

    def drop(self, collection: Collection) -> None:
        """Remove a collection; refused while another process writes to it."""
        if self._has_rows(collection):
            self._writable(collection).close()
        self._open.pop(collection.name, None)
        folder = self._folder / collection.name
        (folder / _RECORD).unlink()  # without it there is no collection, however much of the rest is left
        shutil.rmtree(folder)

    def upsert(self, collection: Collection, rows: Rows) -> None:
        """Write rows durably: those that are there are replaced, the others added."""
        columns = collection.columns
        rows = rows._replace(fields=rows.fields.rename_columns([columns[name] for name in rows.fields.column_names]))
        if not self._has_rows(collection):
            index = FilteredIndex(metric=collection.metric, recall=_RECALL[collection.index])
            index.fit(rows.vectors, rows.fields, ids=rows.ids).save(self._path(collection))
            self._open[collection.name] = _Opened(index, (), writing=True)
            return
        self._writable(collection).upsert(rows.ids, rows.vectors, rows.fields)

    def delete(self, collection: Collection, which: IntArray | Expr) -> None:
        """Remove rows durably."""
        if not self._has_rows(collection):
            return
        index = self._writable(collection)
        if isinstance(which, Expr):
            index.delete(index.matching(renamed(which, collection.columns)))
        else:
            index.delete(which[np.isin(which, index.ids)])

    def count(self, collection: Collection, where: Expr) -> int:
        """Count the rows that pass; from posting lists."""
        index = self._readable(collection)
        return 0 if index is None else index.count(renamed(where, collection.columns))

    def search(self, collection: Collection, queries: Vectors, k: int, *, where: Expr, exact: bool) -> IntArray:
        """Search by the cheapest plan."""
        index = self._readable(collection)
        if index is None:
            return padded([[]] * len(queries), k)
        return index.query(queries, k, where=renamed(where, collection.columns), recall=1.0 if exact else None).rows

    def take(self, collection: Collection, ids: IntArray) -> Rows:
        """Return rows by id."""
        index = self._readable(collection)
        there = ids[:0] if index is None else ids[np.isin(ids, index.ids)]
        if index is None or not len(there):
            return Rows.none(collection)
        vectors, table = index.take(there)
        columns = collection.columns
        arrays = [table[columns[name]] for name in collection.fields]
        return Rows(there, vectors, pa.table(arrays, schema=collection.arrow))

    def optimize(self, collection: Collection) -> None:
        """Lay all rows out anew, and measure the plans on them."""
        if self._has_rows(collection):
            self._writable(collection).compact()

    def close(self) -> None:
        """Give the locks back."""
        for opened in self._open.values():
            opened.index.close()
        self._open.clear()

    def _path(self, collection: Collection) -> Path:
        return self._folder / collection.name / _INDEX

    def _has_rows(self, collection: Collection) -> bool:
        """Whether rows were ever written."""
        return (self._path(collection) / "index.json").is_file()

    def _writable(self, collection: Collection) -> FilteredIndex:
        opened = self._open.get(collection.name)
        if opened is None or not opened.writing:
            index = FilteredIndex.load(self._path(collection), writable=True, verify=False)
            opened = self._open[collection.name] = _Opened(index, (), writing=True)
        return opened.index

    def _readable(self, collection: Collection) -> FilteredIndex | None:
        """Return the index as it is on the disk now, or None without rows."""
        opened = self._open.get(collection.name)
        if opened is not None and opened.writing:
            return opened.index
        if not self._has_rows(collection):
            return None
        for _ in range(3):
            stamp = _stamp(self._path(collection))
            if opened is not None and opened.stamp == stamp:
                return opened.index
            try:
                index = FilteredIndex.load(self._path(collection), verify=False)
            except SpaceFormatError:
                if stamp == _stamp(self._path(collection)):
                    raise
                continue
            self._open[collection.name] = _Opened(index, stamp, writing=False)
            return index
        raise StoreError(f"{self._path(collection)}: is changed faster than it can be read")


def connect(place: str, *, token: str) -> DiskEngine:
    """Open the store in a folder; ``InputError`` for a token, of which it has none."""
    if token:
        raise InputError("token", got="a token", expected="none for a folder")
    return DiskEngine(place)


def _stamp(folder: Path) -> tuple[object, ...]:
    """Return what changes when the index does: names, sizes and times of its record and its log."""
    facts = []
    for entry in os.scandir(folder):
        if entry.name.startswith(("index.json", "changes-")):
            try:
                state = entry.stat()
            except FileNotFoundError:
                continue
            facts.append((entry.name, state.st_size, state.st_mtime_ns))
    return tuple(sorted(facts))
