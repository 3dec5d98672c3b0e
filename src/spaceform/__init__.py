"""spaceform: shape an embedding space, find its classes, search it, and learn how it breaks."""

from __future__ import annotations

__version__ = "0.1.0"
