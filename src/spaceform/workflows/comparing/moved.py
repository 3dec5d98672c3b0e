"""Which rows lie elsewhere in the second space, once the whole of it is laid upon the first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from spaceform.heads.alignment import fit_rigid_map
from spaceform.types import BoolArray, FloatArray
from spaceform.workflows.comparing.measures import Ground, held_out, overlap

CHANCE = 0.05
"""Of so many comparisons one would name a row that did not move, were the logarithms of errors normal."""

LEAST = 1e-3
"""A row that lies within such a share of the spread from its place has not moved: rounding."""

MOST = 0.4
"""When more rows stand out than this, there is no bulk to stand out from."""

FEWEST = 4
"""Rows of either half that must be left to fit a map on."""

ROUNDS = 4
MAD_TO_SD = 1.4826


@dataclass(frozen=True, eq=False)
class Displacement:
    """``distance (n,)`` of each row from its image, in units of the spread of B; who ``moved``; neighbours ``kept``.

    The map is fitted without the row, and without the rows that moved. ``limit``: the distance beyond which a row
    stands out.
    """

    distance: FloatArray
    moved: BoolArray
    overlap: FloatArray
    limit: float


def find_moved(ground: Ground) -> Displacement:
    """Return how far each row lies from where the rigid map of the others puts it.

    Rows stand out when their log distance is too far above the median for the spread of the bulk (median absolute
    deviation, Bonferroni); the map is fitted again without them until the set stays. O(rounds * fits).
    """
    moved = np.zeros(len(ground.A), dtype=bool)
    spread = float(np.sqrt(np.square(ground.slim_b).sum(1).mean()))
    seen: list[bytes] = []
    while True:
        error = held_out(ground.slim_a, ground.slim_b, ground.halves, fit_rigid_map, kept=~moved).error
        distance = np.sqrt(error) / spread
        limit = _limit(distance)
        found = distance > limit
        if found.mean() > MOST or any((~found[half]).sum() < FEWEST for half, _ in ground.halves):
            found, limit = np.zeros_like(moved), float("inf")
        if (found == moved).all() or len(seen) == ROUNDS or found.tobytes() in seen:
            return Displacement(distance, found, overlap(ground.near_a, ground.near_b), limit)
        seen.append(found.tobytes())
        moved = found


def _limit(distance: FloatArray) -> float:
    logs = np.log(np.maximum(distance, 1e-12))
    middle = float(np.median(logs))
    sd = MAD_TO_SD * float(np.median(np.abs(logs - middle)))
    return max(LEAST, float(np.exp(middle + norm.isf(CHANCE / len(distance)) * sd)))
