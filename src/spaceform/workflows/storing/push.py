"""Write the rows of a Space to a vector store, so that a broken-off or repeated push ends in the same rows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.search.stores.collection import Collection, FieldType
from spaceform.search.stores.opening import engine_of, open_store
from spaceform.search.stores.store import CheckedStore
from spaceform.space import Space
from spaceform.space_rows import ID
from spaceform.types import IntArray, PathLike, Progress, no_progress

METRIC = {"sphere": "cosine", "euclidean": "euclidean"}
"""How rows of each geometry are compared in a store, where nothing else is asked for."""

FACTS = "space"
"""What `Collection.info` calls the facts of the Space."""


@dataclass(frozen=True)
class PushResult:
    """What was written: ``written`` rows, and ``unchanged`` ones that a resumed push found there.

    ``others`` are rows of the collection that the Space does not have. ``encoder`` is the fingerprint on record.
    """

    engine: str
    name: str
    rows: int
    written: int
    unchanged: int
    others: int
    metric: str
    encoder: str | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON knows."""
        return asdict(self)


def push(
    space: Space | PathLike, uri: str, *, name: str | None = None, metric: str | None = None, index: str = "auto",
    batch_size: int = 1_000, resume: bool = False, token: str = "", progress: Progress = no_progress,
) -> PushResult:  # fmt: skip
    """Write the rows of a Space to the collection ``name`` of a store (by default called like the folder).

    A row's number in the store is a hash of its id, so that a second push replaces rows and adds none twice. With
    ``resume`` rows that are there already, as they are, are not written again. The collection records geometry,
    label and encoder; a Space of other columns, another width, metric or encoder is refused.

    Raises ``InputError`` for those, and for points in the Poincare ball, which no engine compares; ``StoreError`` for
    a store that can't be reached. O(n d); one batch in memory, of an opened Space its attributes, too.
    """
    begun = perf_counter()
    check_integer(batch_size, "batch_size", low=1)
    folder = None if isinstance(space, Space) else Path(space)
    opened = space if isinstance(space, Space) else Space.open(space)
    wanted = _collection(opened, folder, name=name, metric=metric, index=index)
    numbers = row_numbers(opened.table[ID])
    written = 0
    with open_store(uri, token=token) as store:
        _settle(store, wanted)
        done = 0
        for vectors in opened.iter_vectors(batch_size):
            ids, table = numbers[done : done + len(vectors)], opened.table.slice(done, len(vectors))
            if not (resume and _is_there(store, wanted, ids, vectors=vectors, table=table)):
                store.upsert(wanted.name, ids, vectors, table)
                written += len(vectors)
            done += len(vectors)
            progress("push", done, len(opened), {"rows/s": done / max(perf_counter() - begun, 1e-9)})
        if written:
            progress("index", 0, 1, None)
            store.optimize(wanted.name)
            progress("index", 1, 1, None)
        others = store.count(wanted.name) - len(opened)
    return PushResult(
        engine_of(uri)[0], wanted.name, len(opened), written, len(opened) - written, others, wanted.metric,
        (opened.encoder or {}).get("fingerprint"), round(perf_counter() - begun, 3),
    )  # fmt: skip


def row_numbers(ids: pa.ChunkedArray) -> IntArray:
    """Return the number of each row in a store: 62 bits of a hash of its id.

    Raises ``InputError`` if two ids have the same (for a million rows the chance is one in nine million).
    """
    numbers = np.fromiter((row_number(text) for text in ids.to_pylist()), np.int64, len(ids))
    values, counts = np.unique(numbers, return_counts=True)
    if (counts > 1).any():
        twice = np.flatnonzero(numbers == values[counts > 1][0])[:2]
        raise InputError("space", got=f"the ids {[ids[i].as_py() for i in twice]}", expected="ids of distinct hashes",
                         remedy="rename one of them")  # fmt: skip
    return numbers


def row_number(text: str) -> int:
    """Return the number of the row with this id."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 2


def _collection(space: Space, folder: Path | None, *, name: str | None, metric: str | None, index: str) -> Collection:
    """Return the collection that a Space asks for."""
    if metric is None and space.geometry not in METRIC:
        raise InputError("space", got=f"points of geometry {space.geometry!r}", expected="a flat or spherical Space",
                         remedy="no engine has its distance; --metric euclidean orders rows otherwise")  # fmt: skip
    if name is None:
        if folder is None:
            raise InputError("name", got="None for a Space in memory", expected="the name of a collection")
        name = re.sub(r"\W", "_", folder.resolve().name, flags=re.ASCII)[:48]
        name = name if name[:1].isalpha() else f"space_{name}"[:48]
    fields: dict[str, FieldType] = {ID: FieldType.TEXT}
    fields |= {field.name: FieldType.of(field.type, field.name) for field in space.table.schema if field.name != ID}
    facts = {
        "geometry": space.geometry, "label": space.label, "encoder": space.encoder,
        "folder": None if folder is None else str(folder.resolve()),
    }  # fmt: skip
    chosen = METRIC[space.geometry] if metric is None else metric
    return Collection.checked(name, space.dim, metric=chosen, fields=fields, index=index, info={FACTS: facts})


def _settle(store: CheckedStore, wanted: Collection) -> None:
    """Make the collection, or see that the one there takes these rows."""
    if wanted.name not in store.names():
        store.create(
            wanted.name, wanted.dim, metric=wanted.metric, fields=wanted.fields, index=wanted.index, info=wanted.info
        )
        return
    there = store.describe(wanted.name)
    facts: Mapping[str, Any] = there.info.get(FACTS) or {}
    for what, found, own in (
        ("vectors of width", there.dim, wanted.dim),
        ("the metric", there.metric, wanted.metric),
        ("the columns", sorted(map(str, there.fields.items())), sorted(map(str, wanted.fields.items()))),
        ("vectors of the encoder", _fingerprint(facts), _fingerprint(wanted.info[FACTS])),
    ):
        if found != own:
            raise InputError(
                "name", got=f"{wanted.name!r}, which holds {what} {found}", expected=f"a collection for {own}",
                remedy="push under another --name, or drop that one",
            )  # fmt: skip


def _fingerprint(facts: Mapping[str, Any]) -> str | None:
    found = (facts.get("encoder") or {}).get("fingerprint")
    return None if found is None else str(found)


def _is_there(store: CheckedStore, collection: Collection, ids: IntArray, *, vectors: Any, table: pa.Table) -> bool:
    """Whether the store has all these rows, as they are."""
    order = np.argsort(ids)
    there = store.take(collection.name, ids)
    if len(there.ids) < len(ids) or not np.array_equal(there.vectors, vectors[order].astype(np.float32)):
        return False
    own = table.take(pa.array(order)).select(list(collection.fields))
    return there.fields.to_pylist() == own.cast(collection.arrow).to_pylist()
