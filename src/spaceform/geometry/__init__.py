"""Where vectors and labels live: distance, closeness (larger is nearer), mean, and geodesics where they exist."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spaceform.geometry.ball import PoincareBall
    from spaceform.geometry.finite import LabelMetric
    from spaceform.geometry.flat import Euclidean
    from spaceform.geometry.graph import GraphMetric
    from spaceform.geometry.matrix import EmbeddingMetric, MatrixMetric
    from spaceform.geometry.protocol import Geometry
    from spaceform.geometry.sphere import Sphere
    from spaceform.geometry.tree import TreeMetric

_HOMES = {
    "EmbeddingMetric": "matrix",
    "Euclidean": "flat",
    "Geometry": "protocol",
    "GraphMetric": "graph",
    "LabelMetric": "finite",
    "MatrixMetric": "matrix",
    "PoincareBall": "ball",
    "Sphere": "sphere",
    "TreeMetric": "tree",
}

__all__ = [
    "EmbeddingMetric",
    "Euclidean",
    "Geometry",
    "GraphMetric",
    "LabelMetric",
    "MatrixMetric",
    "PoincareBall",
    "Sphere",
    "TreeMetric",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use: the compiled passes of trees cost half a second."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
