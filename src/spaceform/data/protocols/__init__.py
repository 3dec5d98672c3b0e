"""Protocols: which rows and classes serve for what, drawn once, frozen in a file, the same for every method.

``draw_class_incremental``, ``draw_category_discovery`` and ``draw_distillation`` each draw a :class:`FrozenSplit` from
labels; the object around it gives its parts their names in the field.
"""

from __future__ import annotations

from spaceform.data.protocols.category_discovery import CategoryDiscovery, draw_category_discovery
from spaceform.data.protocols.class_incremental import ClassIncremental, draw_class_incremental
from spaceform.data.protocols.distillation import Distillation, draw_distillation
from spaceform.data.protocols.frozen import FrozenSplit

__all__ = [
    "CategoryDiscovery",
    "ClassIncremental",
    "Distillation",
    "FrozenSplit",
    "draw_category_discovery",
    "draw_class_incremental",
    "draw_distillation",
]
