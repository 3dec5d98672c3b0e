"""Open a store by its URI."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path

from spaceform.errors import InputError
from spaceform.search.stores.disk import MARK
from spaceform.search.stores.engine import Engine
from spaceform.search.stores.store import CheckedStore

FORMS = "memory:, a folder, a file .db (Milvus), http://..., postgresql://..., lance:FOLDER or s3://..."
"""The URIs that are known, as messages list them."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):(.*)", re.DOTALL)
_PLACES = {"memory": "memory", "disk": "disk", "milvus": "milvus", "lance": "lance"}
_ADDRESSES = {
    "http": "milvus", "https": "milvus", "postgresql": "pgvector", "postgres": "pgvector",
    "s3": "lance", "gs": "lance", "az": "lance", "db": "lance",
}  # fmt: skip
"""The module of each scheme, with a function ``connect(place, token=)``; addresses go there whole."""


def open_store(uri: str, *, token: str = "") -> CheckedStore:
    """Open the store that a URI names: ``memory:`` in this process, a path (or ``disk:PATH``) a folder.

    A path that ends in ``.db`` (or ``milvus:PATH``) is a file of milvus-lite, ``http://host:19530`` a Milvus server;
    ``postgresql://...`` is a database with pgvector, ``lance:PATH`` or ``s3://bucket`` a folder or bucket of LanceDB.
    ``token`` is the key or password where one is wanted. Raises ``InputError`` for other URIs, ``MissingExtraError``
    for an engine that is not installed, ``StoreError`` for one that can't be reached.

    >>> store = open_store("memory:")
    >>> _ = store.create("fruit", 2, fields={"price": float})
    >>> store.upsert("fruit", [1, 2], [[1.0, 0.0], [0.0, 1.0]], {"price": [0.5, 2.0]})
    >>> store.search("fruit", [[1.0, 0.1]], 2, where="price < 1").ids
    array([[ 1, -1]])
    """
    module, place = engine_of(uri)
    connect: Callable[..., Engine] = importlib.import_module(f"spaceform.search.stores.{module}").connect
    return CheckedStore(connect(place, token=token))


def engine_of(uri: str) -> tuple[str, str]:
    """Return the module of a URI's engine, and the place in it; ``InputError`` for an unknown form. Opens nothing."""
    if not isinstance(uri, str) or not uri.strip() or "\0" in uri:
        raise InputError("uri", got=f"{uri!r:.60}", expected=FORMS)
    match = _SCHEME.fullmatch(uri)
    if match is None:
        return ("milvus" if uri.endswith(".db") else "disk"), uri
    scheme, place = match.groups()
    if scheme in _ADDRESSES and place.startswith("//") and len(place) > 2:
        return _ADDRESSES[scheme], uri
    place = place.removeprefix("//")
    if scheme not in _PLACES or bool(place) == (scheme == "memory"):
        raise InputError("uri", got=f"the scheme {scheme!r}" if place else repr(uri), expected=FORMS)
    return _PLACES[scheme], place


def is_store(uri: str) -> bool:
    """Return whether a text names a store rather than a Space: an address, a file ``.db``, or a folder that is one."""
    module, place = engine_of(uri)
    if (Path(place) / "space.json").is_file():
        return False
    return module != "disk" or uri.startswith("disk:") or (Path(place) / MARK).is_file()
