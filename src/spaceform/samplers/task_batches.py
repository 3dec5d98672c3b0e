"""Many small tasks at once: the row numbers of a whole batch of episodes in a few array operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_partial_labels
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.samplers.class_rows import rows_by_class
from spaceform.types import IntArray


@dataclass(frozen=True)
class TaskBatch:
    """Row numbers ``support (T, K, n_shot)`` and ``query (T, K, n_query)``; axis 1 is the class of the task."""

    support: IntArray
    query: IntArray


@final
class TaskBatches:
    """Batches of ``n_tasks`` tasks, each of ``n_way`` different classes with different rows for support and query.

    ``batches(step)`` depends on ``seed`` and ``step`` alone. As :class:`spaceform.samplers.episodes.EpisodeSampler`,
    for methods that work on all tasks of a batch together: some thirty times faster at 32 tasks of five classes.

    Parameters: ``labels (n,)`` integers, -1 marks rows that are never drawn; classes with fewer than ``n_shot +
    n_query`` rows are never drawn. Raises ``InputError`` when fewer than ``n_way`` classes are left.
    O(T (C + K s)) a batch for C classes and s rows of each.

    >>> batch = TaskBatches([0, 0, 1, 1, 2, 2], n_way=2, n_tasks=3)(0)
    >>> batch.support.shape, batch.query.shape
    ((3, 2, 1), (3, 2, 1))
    """

    def __init__(
        self,
        labels: ArrayLike,
        *,
        n_way: int = 5,
        n_shot: int = 1,
        n_query: int = 1,
        n_tasks: int = 32,
        seed: int = 0,
    ) -> None:
        y = np.asarray(labels)
        y = check_partial_labels(y, len(y), "labels")
        self.n_way = check_integer(n_way, "n_way", low=2)
        self.n_shot = check_integer(n_shot, "n_shot", low=1)
        self.n_query = check_integer(n_query, "n_query", low=1)
        self.n_tasks = check_integer(n_tasks, "n_tasks", low=1)
        self.seed = check_integer(seed, "seed", low=0)
        groups = [rows for rows in rows_by_class(y) if len(rows) >= n_shot + n_query]
        self._counts = np.array([len(rows) for rows in groups], dtype=np.int64)
        if len(groups) < self.n_way:
            raise InputError(
                "labels",
                got=f"{len(groups)} classes with {n_shot + n_query} rows",
                expected=f"{n_way}, as many as n_way",
                remedy="ask for fewer classes or supports",
            )
        self._order, self._starts = np.concatenate(groups), np.cumsum(self._counts) - self._counts

    def __call__(self, step: int) -> TaskBatch:
        """Return the batch of ``step`` (0-based)."""
        rng = np.random.default_rng(derive_seed(self.seed, "tasks", step))
        score = rng.random((self.n_tasks, len(self._starts)))
        chosen = np.argsort(score, axis=1)[:, : self.n_way]
        counts = self._counts[chosen][:, :, None]
        size = self.n_shot + self.n_query
        drawn = (rng.random((*chosen.shape, size)) * counts).astype(np.int64)
        while (again := _repeated(drawn)).any():
            drawn[again] = (rng.random((int(again.sum()), size)) * counts[again]).astype(np.int64)
        rows = self._order[self._starts[chosen][:, :, None] + drawn]
        return TaskBatch(rows[:, :, : self.n_shot], rows[:, :, self.n_shot :])


def _repeated(drawn: IntArray) -> np.ndarray:
    ordered = np.sort(drawn, axis=2)
    return np.asarray((ordered[:, :, 1:] == ordered[:, :, :-1]).any(2))
