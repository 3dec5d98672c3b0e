"""Attributes as plain values that JSON knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def plain_values(value: Any) -> Any:
    """Return ``value`` with dates as ISO text, NaN and infinities as None, tuples as lists; O(size)."""
    if isinstance(value, dict):
        return {key: plain_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(inner) for inner in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value.isoformat() if hasattr(value, "isoformat") else value


def plain_rows(table: pa.Table, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries of the named columns, of plain values; O(values)."""
    columns = [_plain_column(table[name]) for name in names]
    return (
        [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)] if names else [{}] * len(table)
    )


def _plain_column(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column.to_pylist()
    inner = column.type
    while pa.types.is_list(inner) or pa.types.is_large_list(inner):
        inner = inner.value_type
    is_ = pa.types
    if is_.is_string(inner) or is_.is_large_string(inner) or is_.is_integer(inner) or is_.is_boolean(inner):
        return values  # which are plain as they are
    return [plain_values(value) for value in values]
