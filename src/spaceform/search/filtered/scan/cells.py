"""Cells: k-means of the rows, after Lloyd, on a sample, in matrix products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spaceform.types import IntArray

_ROUNDS = 6
_SAMPLED = 48
"""Rows per cell of which the centroids are learnt; more moves them little."""
_BLOCK_BYTES = 16 * 2**20


def k_means(X: NDArray[np.float32], n_cells: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return centroids ``(n_cells, d)``, started at rows drawn without repetition; an empty cell is drawn anew.

    O(rounds min(n, 48 n_cells) n_cells d); the generator decides everything that is drawn.
    """
    size = min(len(X), _SAMPLED * n_cells)
    sample = X if size == len(X) else X[np.sort(generator.choice(len(X), size, replace=False))]
    centroids = sample[generator.choice(len(sample), n_cells, replace=False)].copy()
    for _ in range(_ROUNDS if n_cells > 1 else 1):
        cell = assign(sample, centroids)
        order = np.argsort(cell, kind="stable")
        present, starts, sizes = np.unique(cell[order], return_index=True, return_counts=True)
        centroids[present] = np.add.reduceat(sample[order], starts, axis=0) / sizes[:, None]
        empty = np.setdiff1d(np.arange(n_cells), present)
        centroids[empty] = sample[generator.choice(len(sample), len(empty), replace=False)]
    return centroids


def assign(X: NDArray[np.float32], centroids: NDArray[np.float32]) -> IntArray:
    """Return the nearest centroid of each row, ``(n,)``; in blocks of 16 MiB."""
    offsets = np.einsum("cd,cd->c", centroids, centroids) / 2
    result = np.empty(len(X), dtype=np.int64)
    height = max(1, _BLOCK_BYTES // (4 * len(centroids)))
    for start in range(0, len(X), height):
        block = X[start : start + height] @ centroids.T
        block -= offsets
        result[start : start + height] = block.argmax(axis=1)
    return result
