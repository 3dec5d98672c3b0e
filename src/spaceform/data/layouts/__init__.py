"""Readers of what users have on disk: their own vectors, pictures and texts, and the folders of known benchmarks.

``read_source`` takes whatever a path points at; the others read one kind and have more options.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spaceform.data.layouts.images import read_image_folder
    from spaceform.data.layouts.read import read_source
    from spaceform.data.layouts.source import Source
    from spaceform.data.layouts.tables import read_table
    from spaceform.data.layouts.texts import read_texts
    from spaceform.data.layouts.vectors import read_vectors

_HOMES = {
    "Source": "source",
    "read_image_folder": "images",
    "read_source": "read",
    "read_table": "tables",
    "read_texts": "texts",
    "read_vectors": "vectors",
}

__all__ = ["Source", "read_image_folder", "read_source", "read_table", "read_texts", "read_vectors"]


def __getattr__(name: str) -> Any:
    """Import a reader on first use."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
