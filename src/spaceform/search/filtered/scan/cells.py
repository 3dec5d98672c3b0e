"""Cells: k-means of the rows, after Lloyd, in matrix products; in the end rows look only at the cells around theirs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spaceform.types import FloatArray, IntArray

_SAMPLED = (8, 16)
"""Rows per cell of which centroids are learnt at first, round by round: these move far, whatever they see."""

_ROUNDS = 7
"""Rounds over all rows after that."""

_NEAR = 64
"""Centroids that a row is compared with in these rounds, those nearest to its own; it seldom moves to another."""

_BLOCK_BYTES = 4 * 2**20


def k_means(
    X: NDArray[np.float32], n_cells: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], IntArray]:
    """Return centroids ``(n_cells, d)``, and the cell of each row: that of the nearest centroid, but for a few rows.

    Centroids start at rows drawn without repetition; one that is left without rows in a sample is drawn anew.
    O(n n_cells d); the generator decides everything that is drawn.
    """
    sample = X[generator.choice(len(X), min(len(X), _SAMPLED[-1] * n_cells), replace=False)]
    centroids = sample[:n_cells].copy()
    for per_cell in _SAMPLED:
        part = sample[: per_cell * n_cells]
        sizes = _move(part, assign(part, centroids), centroids)
        empty = np.flatnonzero(sizes == 0)
        centroids[empty] = sample[generator.choice(len(sample), len(empty), replace=False)]
    cell = assign(X, centroids)
    for _ in range(_ROUNDS):
        _move(X, cell, centroids)
        cell = assign(X, centroids) if n_cells <= _NEAR else _assign_around(X, cell, centroids)
    return centroids, cell


def assign(X: NDArray[np.float32], centroids: NDArray[np.float32]) -> IntArray:
    """Return the nearest centroid of each row, ``(n,)``; in blocks of 4 MiB of products."""
    offsets = np.einsum("cd,cd->c", centroids, centroids) / 2
    result = np.empty(len(X), dtype=np.int64)
    height = max(1, _BLOCK_BYTES // (4 * len(centroids)))
    for start in range(0, len(X), height):
        block = X[start : start + height] @ centroids.T
        block -= offsets
        result[start : start + height] = block.argmax(axis=1)
    return result


def _assign_around(X: NDArray[np.float32], cell: IntArray, centroids: NDArray[np.float32]) -> IntArray:
    """Return the nearest of the `_NEAR` centroids around that of its cell, for each row; O(n d + n_cells^2 d)."""
    offsets = np.einsum("cd,cd->c", centroids, centroids) / 2
    near = np.empty((len(centroids), _NEAR), np.int64)
    height = max(1, _BLOCK_BYTES // (4 * len(centroids)))
    for start in range(0, len(centroids), height):
        block = offsets - centroids[start : start + height] @ centroids.T
        near[start : start + height] = np.argpartition(block, _NEAR, axis=1)[:, :_NEAR]
    found = np.empty_like(cell)
    for c, members in _members(cell, len(centroids)):
        around = near[c]
        products = X[members] @ centroids[around].T
        found[members] = around[(products - offsets[around]).argmax(axis=1)]
    return found


def _move(X: NDArray[np.float32], cell: IntArray, centroids: NDArray[np.float32]) -> IntArray:
    """Put every centroid that has rows at their mean, and return how many it has."""
    sizes = np.zeros(len(centroids), np.int64)
    for c, members in _members(cell, len(centroids)):
        sizes[c] = len(members)
        centroids[c] = X[members].mean(axis=0)
    return sizes


def _members(cell: IntArray, n_cells: int) -> Iterator[tuple[int, IntArray]]:
    """Yield the cells that have rows, and these: what a loop does with few rows at a time stays in the cache."""
    order = np.argsort(cell, kind="stable")
    edges = np.searchsorted(cell[order], np.arange(n_cells + 1)).tolist()
    for c, (first, last) in enumerate(itertools.pairwise(edges)):
        if first < last:
            yield c, order[first:last]


def farthest(X: NDArray[np.float32], starts: IntArray, centroids: NDArray[np.float32]) -> FloatArray:
    """Return the largest distance of a row from the centroid of its cell, rounded up, or 0; rows lie cell by cell."""
    radius = np.zeros(len(centroids))
    for c, (first, last) in enumerate(itertools.pairwise(starts.tolist())):
        if first < last:
            gaps = X[first:last] - centroids[c]
            squares = np.einsum("nd,nd->n", gaps, gaps, dtype=np.float64)
            radius[c] = np.sqrt(squares.max()) * (1 + 1e-6) + 1e-30
    return radius
