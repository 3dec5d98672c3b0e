"""Episodes of few-shot learning: some classes, a few rows of each to learn from, and other rows to ask about."""

from __future__ import annotations

from collections.abc import Iterator
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
class Episode:
    """Row numbers of one task; row c of each matrix belongs to class number c of the episode.

    ``support (n_way, n_shot)`` and ``query (n_way, n_query)`` share no row; ``unknown (n_unknown, n_query)`` are
    queries of classes without support; ``classes (n_way,)`` and ``unknown_classes (n_unknown,)`` are their labels.
    """

    support: IntArray
    query: IntArray
    unknown: IntArray
    classes: IntArray
    unknown_classes: IntArray

    @property
    def query_targets(self) -> IntArray:
        """The class number in the episode of each query ``(n_way * n_query,)``, for ``query`` row by row."""
        return np.repeat(np.arange(len(self.query)), self.query.shape[1])


@final
class EpisodeSampler:
    """Tasks with ``n_way`` classes, ``n_shot`` supports and ``n_query`` queries each, drawn without replacement.

    Support and query of an episode share no row. Parameters: ``labels (n,)`` integers, -1 marks rows that are never
    drawn; ``n_way`` >= 2, ``n_shot``, ``n_query`` >= 1; ``n_unknown``: further classes that give queries only (open-set
    tasks); ``seed``. Classes with fewer than ``n_shot + n_query`` rows are never drawn.

    ``sampler(step)`` depends on ``seed`` and ``step`` alone. With ``world_size`` processes, step s of ``rank`` r is
    episode ``s * world_size + r`` of one process, so together they work through the same plan.

    Raises ``InputError`` when fewer than ``n_way + n_unknown`` classes have rows enough. O(C + rows drawn) per episode
    for C classes.

    >>> sampler = EpisodeSampler([0] * 5 + [1] * 5 + [2] * 5, n_way=2, n_shot=1, n_query=3, seed=0)
    >>> episode = sampler(0)
    >>> episode.support.shape, episode.query.shape, len(set(episode.support.ravel()) & set(episode.query.ravel()))
    ((2, 1), (2, 3), 0)
    """

    def __init__(
        self,
        labels: ArrayLike,
        *,
        n_way: int = 5,
        n_shot: int = 1,
        n_query: int = 15,
        n_unknown: int = 0,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        y = np.asarray(labels)
        y = check_partial_labels(y, len(y), "labels")
        self.n_way = check_integer(n_way, "n_way", low=2)
        self.n_shot = check_integer(n_shot, "n_shot", low=1)
        self.n_query = check_integer(n_query, "n_query", low=1)
        self.n_unknown = check_integer(n_unknown, "n_unknown", low=0)
        self.seed = check_integer(seed, "seed", low=0)
        self.world_size = check_integer(world_size, "world_size", low=1)
        self.rank = check_integer(rank, "rank", low=0, high=world_size - 1)
        self._groups = [rows for rows in rows_by_class(y) if len(rows) >= n_shot + n_query]
        self._classes = np.array([y[rows[0]] for rows in self._groups], dtype=np.int64)
        if len(self._groups) < n_way + n_unknown:
            raise InputError(
                "labels",
                got=f"{len(self._groups)} classes with {n_shot + n_query} rows",
                expected=f"{n_way + n_unknown} for n_way {n_way} and n_unknown {n_unknown}",
                remedy="ask for fewer classes, supports or queries",
            )

    def __call__(self, step: int) -> Episode:
        """Return the episode of ``step`` (0-based) for this rank."""
        number = step * self.world_size + self.rank
        rng = np.random.default_rng(derive_seed(self.seed, "episode", number))
        chosen = rng.choice(len(self._groups), size=self.n_way + self.n_unknown, replace=False)
        size = self.n_shot + self.n_query
        drawn = np.stack([rng.choice(self._groups[c], size=size, replace=False) for c in chosen])
        known = drawn[: self.n_way]
        return Episode(
            support=known[:, : self.n_shot],
            query=known[:, self.n_shot :],
            unknown=drawn[self.n_way :, self.n_shot :],
            classes=self._classes[chosen[: self.n_way]],
            unknown_classes=self._classes[chosen[self.n_way :]],
        )

    def episodes(self, count: int) -> Iterator[Episode]:
        """Yield the first ``count`` episodes of this rank, for an evaluation that can be repeated."""
        return (self(step) for step in range(check_integer(count, "count", low=1)))
