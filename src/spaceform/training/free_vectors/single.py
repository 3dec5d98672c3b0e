"""One table of relevance at a time, in NumPy: the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spaceform.metrics.relevance.sets import set_margins
from spaceform.ops.pairs import ZERO_NORM, row_blocks
from spaceform.training.free_vectors.losses import Objective, Slope, slope
from spaceform.types import BoolArray, FloatArray

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Adam as LIMIT's released script leaves it."""


class SingleDescent:
    """Unit ``queries (m, d)`` and ``documents (n, d)``, float64, that are moved by `Objective` on a table ``(m, n)``.

    A step is one of Adam, whose moments are of the free gradient and are not projected, after which rows are scaled
    back to unit length. O(m n d) per step.
    """

    def __init__(self, queries: FloatArray, documents: FloatArray, table: BoolArray, *, objective: Objective) -> None:
        self._queries, self._documents, self._table, self._objective = queries, documents, table, objective
        self._threshold = np.zeros(1)
        rate = objective.learning_rate
        self._adam = [Adam(one.shape, rate) for one in (queries, documents, self._threshold)]
        self._slope: Slope | None = None

    def margins(self) -> list[FloatArray]:
        """Return, for the only table, each query's least relevant score less its largest irrelevant one ``(m,)``."""
        blocks = row_blocks(*self._table.shape)
        return [
            np.concatenate(
                [set_margins(self._queries[block] @ self._documents.T, self._table[block]) for block in blocks]
            )
        ]

    def rows(self, place: int) -> tuple[FloatArray, FloatArray]:
        """Return the queries and documents of table ``place``, which later steps leave as they are."""
        del place
        return self._queries, self._documents

    def losses(self) -> FloatArray:
        """Return the losses of the rows as they are ``(1,)``, and remember the gradients."""
        self._slope = slope(
            self._queries, self._documents, self._table, objective=self._objective, threshold=float(self._threshold[0])
        )
        return np.array([self._slope.value])

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the tables: here the only one, or none."""

    def update(self) -> None:
        """Take one step along the gradients of `losses`."""
        assert self._slope is not None  # noqa: S101  losses come before an update
        _, of_queries, of_documents, of_threshold = self._slope
        self._queries = on_sphere(self._queries, self._adam[0].step(of_queries))
        self._documents = on_sphere(self._documents, self._adam[1].step(of_documents))
        if self._objective.loss == "sigmoid":
            self._threshold = self._threshold - self._adam[2].step(np.array([of_threshold]))


class Adam:
    """Adam without weight decay, with moments of shape ``shape``."""

    def __init__(self, shape: tuple[int, ...], learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.mean, self.square, self.count = np.zeros(shape), np.zeros(shape), 0

    def step(self, gradient: FloatArray) -> FloatArray:
        """Return what to subtract."""
        first, second = BETAS
        self.count += 1
        self.mean += (1 - first) * (gradient - self.mean)
        self.square += (1 - second) * (gradient * gradient - self.square)
        scale = self.learning_rate / (1 - first**self.count)
        return np.asarray(scale * self.mean / (np.sqrt(self.square / (1 - second**self.count)) + EPSILON))


def on_sphere(rows: FloatArray, change: FloatArray) -> FloatArray:
    """Return unit rows after the change; a row that it takes to 0, which has no direction, stays where it was."""
    moved = rows - change
    norms = np.sqrt(np.einsum("nd,nd->n", moved, moved))[:, None]
    if norms.min() < ZERO_NORM:
        moved, norms = np.where(norms < ZERO_NORM, rows, moved), np.where(norms < ZERO_NORM, 1.0, norms)
    moved /= norms
    return np.asarray(moved)
