"""CAPS: clusters of vectors, in each a chain of buckets by the most frequent values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_integer
from spaceform.compiled import compiled
from spaceform.search.filtered.scan.cells import assign, k_means
from spaceform.search.graphs.beams import gap, new_beam, offer
from spaceform.search.references.contract import AbstractReference, Asked
from spaceform.search.references.labels import Labels
from spaceform.types import IntArray, RandomState


@final
class CapsIndex(AbstractReference):
    """CAPS (Gupta et al. 2023): k-means, and in each cluster a truncated tree of Huffman's kind over attribute values.

    In a cluster the rows with the most frequent value (of any column) are put in a bucket, then those with the most
    frequent value of the rest, ``depth`` times. A query opens clusters from the nearest on, skips buckets of another
    value than its own, and ends when ``search_list`` distances are computed.

    Parameters: ``columns`` with one value per row (None: all of text and truth values); ``clusters`` (None:
    ``sqrt(n)``, the paper's 128 to 1,024 at its sizes); ``depth``; ``search_list`` (m). Serves equalities joined by
    AND, and none at all; raises ``InputError`` for others. O(n clusters d) to build, O((clusters + search_list) d) to
    answer.

    >>> index = CapsIndex(metric="euclidean").fit([[0.0], [1.0], [2.0]], {"a": ["x", "y", "x"]})
    >>> index.query([[1.4]], 1, where="a = 'x'").rows
    array([[2]])
    """

    def __init__(
        self, *, columns: Sequence[str] | None = None, clusters: int | None = None, depth: int = 20,
        search_list: int = 500, metric: str = "cosine", random_state: RandomState = 0,
    ) -> None:  # fmt: skip
        self.columns = columns
        self.clusters = clusters
        self.depth = depth
        self.search_list = search_list
        self.metric = metric
        self.random_state = random_state

    def _build(self, generator: np.random.Generator) -> None:
        n = len(self._rows)
        depth = check_integer(self.depth, "depth", low=0)
        count = max(1, int(np.sqrt(n))) if self.clusters is None else check_integer(self.clusters, "clusters", low=1)
        self._labels = Labels(self._attributes.table, self.columns)
        self._centroids = k_means(self._rows, min(count, n), generator)[0]
        cluster, codes = assign(self._rows, self._centroids), self._labels.codes
        order: list[IntArray] = []
        self._starts = np.zeros((len(self._centroids), depth + 2), np.int64)
        self._key = np.full((len(self._centroids), depth, 2), -1, np.int64)
        for cell in range(len(self._centroids)):
            left = np.flatnonzero(cluster == cell)
            self._starts[cell] = sum(map(len, order))
            for bucket in range(depth):
                column, value = _most_frequent(codes[left])
                inside = codes[left, column] == value if column >= 0 else np.zeros(len(left), bool)
                self._key[cell, bucket] = column, value
                order.append(left[inside])
                left = left[~inside]
                self._starts[cell, bucket + 1 :] += int(inside.sum())
            order.append(left)
            self._starts[cell, depth + 1] += len(left)
        self._order = np.concatenate(order)
        self._sorted, self._codes = np.ascontiguousarray(self._rows[self._order]), codes[self._order]

    def _find(self, queries: NDArray[np.float32], k: int, asked: Asked) -> tuple[NDArray[np.integer[Any]], IntArray]:
        wanted = self._labels.equal_to(asked.tree())
        if wanted is None:
            return np.empty((len(queries), 0), np.int64), np.zeros(len(queries), np.int64)
        squares = np.einsum("cd,cd->c", self._centroids, self._centroids)
        nearest = np.argsort(squares - 2 * queries @ self._centroids.T, axis=1, kind="stable")
        found = np.full((len(queries), k), -1, np.int32)
        scored = np.full(len(queries), len(self._centroids))
        layout = (self._sorted, self._codes, self._starts, self._key)
        _search(layout, queries, nearest, wanted, max(k, self.search_list), new_beam(k), found, scored)
        return np.where(found >= 0, self._order[np.maximum(found, 0)], -1), scored


def _most_frequent(codes: NDArray[np.int32]) -> tuple[int, int]:
    """Return the column and value that most rows hold; (-1, -1) where there are none."""
    best = (0, -1, -1)
    for column in range(codes.shape[1]):
        present = codes[:, column][codes[:, column] >= 0]
        if len(present):
            counts = np.bincount(present)
            value = int(counts.argmax())
            if counts[value] > best[0]:
                best = (int(counts[value]), column, value)
    return best[1], best[2]


@compiled(error_model="numpy")
def _search(layout, queries, nearest, wanted, budget, beam, found, scored):  # type: ignore[no-untyped-def]
    rows, codes, starts, key = layout
    for at in range(len(queries)):
        beam[3][0], beam[3][1] = 0, 0
        left = budget
        for cell in nearest[at]:
            for bucket in range(starts.shape[1] - 1):
                if bucket < key.shape[1]:
                    column, value = key[cell, bucket, 0], key[cell, bucket, 1]
                    if column >= 0 and wanted[column] >= 0 and wanted[column] != value:
                        continue
                for row in range(starts[cell, bucket], starts[cell, bucket + 1]):
                    passes = True
                    for column in range(len(wanted)):
                        passes &= wanted[column] < 0 or codes[row, column] == wanted[column]
                    if passes:
                        scored[at] += 1
                        left -= 1
                        offer(beam, row, gap(rows, row, queries, at))
            if left <= 0:
                break
        for spot in range(beam[3][0]):
            found[at, spot] = beam[1][spot]
