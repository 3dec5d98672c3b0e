"""The methods: ours, libraries that take ids or masks, engines with filters, plain scans, and those of papers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from spaceform.workflows.benching.searching.method import Method
from spaceform.workflows.benching.searching.peers.references import published

_HOMES = {
    "ours": ("Ours",),
    "scans": ("Brute", "Duckdb"),
    "faiss": ("FaissFlat", "FaissIvf", "FaissHnsw"),
    "graphs": ("Hnswlib", "HnswlibPost", "Usearch", "Voyager"),
    "codes": ("RiiCodes", "Turbovec"),
    "engines": ("Qdrant", "Lance", "Milvus"),
}


def methods() -> Mapping[str, type[Method]]:
    """Return the methods by name, last those of papers; the peers themselves are imported when a method is built."""
    found: dict[str, type[Method]] = {}
    for home, classes in _HOMES.items():
        module = import_module(f"{__name__}.{home}")
        found |= {getattr(module, one).name: getattr(module, one) for one in classes}
    return found | {one.name: one for one in published()}
