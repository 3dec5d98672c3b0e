"""Rows in clusters with attributes that follow where a row lies, or do not: for search with filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_integer
from spaceform.rng import as_generator
from spaceform.types import FloatArray, RandomState

_PER_CLUSTER = 500
"""Rows per cluster on average."""

_BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class Correlated:
    """Unit vectors ``X (n, d)`` float32 with ``anywhere (n,)``, drawn at random, and ``place (n,)``, where a row lies.

    Both are float64 in [0, 1), evenly spread. A window of ``place`` around a query's own holds its neighbours
    (positive correlation); a window far from it holds none of them (negative); a window of ``anywhere`` holds a
    share of them that is the window's (zero).
    """

    X: NDArray[np.float32]
    anywhere: FloatArray
    place: FloatArray


def correlated_rows(n: int, d: int, *, random_state: RandomState = 0) -> Correlated:
    """Return ``n`` unit vectors in clusters whose centres are spread most along one axis; O(n d).

    ``place`` is the rank of the coordinate along this axis. The spectrum of the centres falls as 1 / sqrt(axis),
    as that of sentence vectors does about; noise of a third of their size lies around them.
    """
    check_integer(n, "n", low=1)
    check_integer(d, "d", low=2)
    generator = as_generator(random_state)
    spread = (1 / np.sqrt(np.arange(1, d + 1))).astype(np.float32)
    centres = generator.standard_normal((max(1, n // _PER_CLUSTER), d), dtype=np.float32) * spread
    X = centres[generator.integers(len(centres), size=n)]
    for start in range(0, n, _BLOCK):
        block = X[start : start + _BLOCK]
        block += generator.standard_normal(block.shape, dtype=np.float32) * (spread / 3 + np.float32(0.05))
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    rank = np.empty(n)
    rank[np.argsort(X[:, 0], kind="stable")] = np.arange(n) / n
    return Correlated(X, generator.random(n), rank)
