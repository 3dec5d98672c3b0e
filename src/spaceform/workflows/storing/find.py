"""Search a collection of a vector store as one searches a Space: near a row, a vector or a text, under a filter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.search.filters import Expr, F, as_expression
from spaceform.search.stores.collection import Collection, FieldType
from spaceform.search.stores.opening import open_store
from spaceform.search.stores.store import CheckedStore
from spaceform.space_rows import ID
from spaceform.types import FloatArray, PathLike
from spaceform.workflows.search import SearchResult
from spaceform.workflows.searching.encoding import own_encoder
from spaceform.workflows.searching.placing import Encode
from spaceform.workflows.storing.push import FACTS, row_number


def search_store(
    uri: str, query: str | ArrayLike, *, name: str | None = None, where: str | Expr | None = None, k: int = 10,
    encode: Encode | None = None, encoder: PathLike | None = None, token: str = "",
) -> SearchResult:  # fmt: skip
    """Return the ``k`` rows nearest to ``query`` in a collection, among those that ``where`` lets through.

    ``query`` is the id of a row, a vector ``(dim,)`` or a text. A text is placed by ``encode``, or by the encoder whose
    fingerprint the collection records, from the Space in the folder ``encoder`` or (None) where it was pushed from.
    ``name`` may be left out if the store has one collection.

    Raises ``InputError`` for a query that can't be placed, ``FilterError`` for the filter, ``SpaceFormatError`` if the
    encoder is another one, ``StoreError`` for a store that can't be reached or answers wrongly.
    """
    check_integer(k, "k", low=1)
    with open_store(uri, token=token) as store:
        collection = store.describe(_only(store) if name is None else name)
        expression = as_expression(where)
        way, vector, own = _placed(store, collection, query, encode=encode, encoder=encoder)
        passing = expression if own is None else own if where is None else expression & own
        hits = store.search(collection.name, vector[None], k, where=passing)
        count = store.count(collection.name, passing)
    found = [(int(row), float(score)) for row, score in zip(hits.ids[0], hits.scores[0], strict=True) if row >= 0]
    return SearchResult(
        query=query if isinstance(query, str) else None, way=way, metric=collection.metric,
        where=None if where is None else str(expression), passing=count,
        anchors=(str(query),) if way == "id" else (),
        rows=[_shown(rank, row, score, hits.fields[row]) for rank, (row, score) in enumerate(found, start=1)],
    )  # fmt: skip


def fields_of(uri: str, name: str | None = None, *, token: str = "") -> list[str]:
    """Return the attributes of a collection, in order."""
    with open_store(uri, token=token) as store:
        return [field for field in store.describe(_only(store) if name is None else name).fields if field != ID]


def _only(store: CheckedStore) -> str:
    names = store.names()
    if len(names) != 1:
        raise InputError("name", got="none", expected="one of " + (", ".join(map(repr, names[:20])) or "no collection"))
    return names[0]


def _placed(
    store: CheckedStore, collection: Collection, query: str | ArrayLike, *, encode: Encode | None,
    encoder: PathLike | None,
) -> tuple[str, FloatArray, Expr | None]:  # fmt: skip
    """Return how the query was placed, where, and what keeps a row from being its own answer."""
    if not isinstance(query, str):
        vector = np.asarray(query, dtype=np.float64)
        if vector.shape != (collection.dim,):
            raise InputError("query", got=f"shape {vector.shape}", expected=f"a vector of {collection.dim} numbers")
        return "vector", vector, None
    if collection.fields.get(ID) is FieldType.TEXT and query:
        rows = store.take(collection.name, [row_number(query)])
        if len(rows.ids) and rows.fields[ID][0].as_py() == query:
            return "id", rows.vectors[0], F(ID) != query
    encode = encode or _recorded(collection, encoder)
    if encode is None or not query.strip():
        raise InputError(
            "query", got=repr(query), expected="the id of a row" + ("" if encode is None else ", or a text"),
            remedy="" if encode else "a text needs the encoder of the vectors: --encoder FOLDER of a Space",
        )  # fmt: skip
    encoded = np.asarray(encode([query]))
    if encoded.shape != (1, collection.dim):
        raise InputError("encode", got=f"shape {encoded.shape}", expected=f"(1, {collection.dim}) for one text")
    return "encoder", encoded[0], None


def _recorded(collection: Collection, folder: PathLike | None) -> Encode | None:
    """Return the encoder on record, from where it is."""
    facts = collection.info.get(FACTS) or {}
    place = folder or facts.get("folder")
    if place is None or not Path(place).is_dir():
        return None
    return own_encoder(Path(place), facts.get("encoder"))


def _shown(rank: int, row: int, closeness: float, fields: dict[str, Any]) -> dict[str, Any]:
    attributes = dict(fields)
    return {"rank": rank, "id": attributes.pop(ID, str(row)), "closeness": closeness, "attributes": attributes}
