"""Attributes as plain values that JSON knows."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain_values(value: Any) -> Any:
    """Return ``value`` with dates as ISO text, NaN and infinities as None, tuples as lists; O(size)."""
    if isinstance(value, dict):
        return {key: plain_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(inner) for inner in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value.isoformat() if hasattr(value, "isoformat") else value
