"""Open a store by its URI."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable

from spaceform.errors import InputError
from spaceform.search.stores.engine import Engine
from spaceform.search.stores.store import CheckedStore

FORMS = "memory: or a folder (disk:PATH)"
"""The URIs that are known, as messages list them."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):(.*)", re.DOTALL)
_MODULES = {"memory": "memory", "disk": "disk"}
"""The module of each scheme, with a function ``connect(place, token=)``."""


def open_store(uri: str, *, token: str = "") -> CheckedStore:
    """Open the store that a URI names: ``memory:`` in this process, a path (or ``disk:PATH``) a folder.

    ``token`` is a password for engines that want one. Raises ``InputError`` for other URIs.

    >>> store = open_store("memory:")
    >>> _ = store.create("fruit", 2, fields={"price": float})
    >>> store.upsert("fruit", [1, 2], [[1.0, 0.0], [0.0, 1.0]], {"price": [0.5, 2.0]})
    >>> store.search("fruit", [[1.0, 0.1]], 2, where="price < 1").ids
    array([[ 1, -1]])
    """
    scheme, place = scheme_of(uri)
    module = importlib.import_module(f"spaceform.search.stores.{_MODULES[scheme]}")
    connect: Callable[..., Engine] = module.connect
    return CheckedStore(connect(place, token=token))


def scheme_of(uri: str) -> tuple[str, str]:
    """Return the scheme and the place in it; ``InputError`` for a URI of no form that is known. Opens nothing."""
    if not isinstance(uri, str) or not uri.strip() or "\0" in uri:
        raise InputError("uri", got=f"{uri!r:.60}", expected=FORMS)
    match = _SCHEME.fullmatch(uri)
    scheme, place = ("disk", uri) if match is None else match.groups()
    if scheme not in _MODULES or (scheme == "disk" and not place):
        raise InputError("uri", got=f"the scheme {scheme!r}" if place else repr(uri), expected=FORMS)
    return scheme, place
