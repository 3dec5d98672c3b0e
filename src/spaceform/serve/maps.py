"""The map as the page takes it: places, names, colours, and the bits of the points that pass a filter."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from spaceform.space import Space
from spaceform.types import IntArray
from spaceform.workflows.projection import Projection

SPAN = 20_000
"""Whole numbers across the map: finer than any screen."""

MAX_COLOURED, MAX_CLASSES, SHOWN_CLASSES = 4, 400, 11
"""Columns that can colour the map, values they may have, and values that get a colour of their own."""


def map_data(space: Space, places: Projection, names: Sequence[str]) -> dict[str, Any]:
    """Return the map as plain values; ``names`` are those of its points. O(points)."""
    xy = places.xy
    low, high = xy.min(0), xy.max(0)
    span = float(max((high - low).max(), 1e-12))
    points = np.round((xy - (low + high) / 2) / span * SPAN).astype(int)
    return {
        "rows": places.rows.tolist(),
        "x": points[:, 0].tolist(),
        "y": points[:, 1].tolist(),
        "names": [name[:80] for name in names],
        "colours": _colours(space, places.rows),
    }


def map_bits(places: Projection, passing: IntArray, n: int) -> str:
    """Return which points pass, of ``n`` rows of which ``passing`` do, as bits (lowest first) in base 64."""
    mask = np.zeros(n, dtype=bool)
    mask[passing] = True
    return base64.b64encode(np.packbits(mask[places.rows], bitorder="little").tobytes()).decode()


def _colours(space: Space, rows: IntArray) -> list[dict[str, Any]]:
    """Return the columns that can colour the points: code 0 is the largest class, -1 any beyond those shown."""
    taken = space.table.take(rows)
    found: list[dict[str, Any]] = []
    for name in space.columns:
        values = taken[name].to_pylist()
        if not all(isinstance(value, str | bool | int | None) for value in values):
            continue
        counts = Counter(value for value in values if value is not None)
        if 1 < len(counts) <= min(MAX_CLASSES, len(values) // 2):
            shown = [value for value, _ in counts.most_common(SHOWN_CLASSES)]
            codes = {value: code for code, value in enumerate(shown)}
            found.append(
                {
                    "column": name,
                    "classes": [str(value) for value in shown],
                    "codes": [codes.get(value, -1) if value is not None else -1 for value in values],
                    "share": sum(counts[value] for value in shown) / len(values),
                }
            )
    found.sort(key=lambda one: (one["share"] < 0.5, one["column"] != "category"))
    return found[:MAX_COLOURED]
