"""Class-balanced batches: some classes, some rows of each, as a pure function of the step."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_partial_labels
from spaceform.errors import NoPairsError
from spaceform.rng import derive_seed
from spaceform.samplers.class_rows import rows_by_class
from spaceform.types import IntArray


@final
class MPerClassSampler:
    """Rows of ``classes_per_batch`` classes, ``samples_per_class`` of each; the order of classes is new every epoch.

    FaceNet (section 3.2) takes about 40 rows per class, and adds rows drawn at random as further negatives:
    ``extra_rows``, none of which is in the batch already. Parameters: ``labels (n,)`` integers, -1 marks rows that are
    never drawn. A class of one row gives no pair and is drawn only as an extra row; a class with fewer rows than asked
    for gives all it has, or with ``fill`` rows repeat, so that every batch has one size. Where there are fewer classes
    than asked for, every batch has all of them. An epoch is ``steps_per_epoch`` batches; classes that don't fill its
    last batch wait for the next epoch.

    ``sampler(step)`` depends on ``seed`` and ``step`` alone. With ``world_size`` processes, ``rank`` gets its part of
    the same plan: the parts of all ranks, one after the other, are the batch of one process.

    Raises ``NoPairsError`` when fewer than two classes have rows, or none has two. O(rows of a batch) per step.

    >>> sampler = MPerClassSampler([0, 0, 1, 1, 2, 2, 2], classes_per_batch=2, samples_per_class=2, seed=0)
    >>> len(sampler(0)), (sampler(5) == sampler(5)).all()
    (4, np.True_)
    """

    def __init__(
        self,
        labels: ArrayLike,
        *,
        classes_per_batch: int,
        samples_per_class: int,
        extra_rows: int = 0,
        fill: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        y = np.asarray(labels)
        y = check_partial_labels(y, len(y), "labels")
        self.classes_per_batch = check_integer(classes_per_batch, "classes_per_batch", low=2)
        self.samples_per_class = check_integer(samples_per_class, "samples_per_class", low=2)
        self.extra_rows = check_integer(extra_rows, "extra_rows", low=0)
        self.fill = fill
        self.seed = check_integer(seed, "seed", low=0)
        self.world_size = check_integer(world_size, "world_size", low=1)
        self.rank = check_integer(rank, "rank", low=0, high=world_size - 1)
        self._labelled = np.flatnonzero(y >= 0)
        groups = rows_by_class(y)
        self._groups = [rows for rows in groups if len(rows) > 1]
        if len(groups) < 2 or not self._groups:
            raise NoPairsError(
                "labels",
                got=f"{len(groups)} class(es), {len(self._groups)} with two rows",
                expected="at least two classes, one of them with two rows",
            )

    @property
    def n_classes(self) -> int:
        """Classes that are drawn: those with two rows."""
        return len(self._groups)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every class comes at most once."""
        return max(1, self.n_classes // self.classes_per_batch)

    def __call__(self, step: int) -> IntArray:
        """Return the rows of batch ``step`` (0-based), int64, class by class."""
        rows = self._batch(step)
        bounds = np.linspace(0, len(rows), self.world_size + 1).astype(int)
        return rows[bounds[self.rank] : bounds[self.rank + 1]]

    def _batch(self, step: int) -> IntArray:
        epoch, part = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng(derive_seed(self.seed, "epoch", epoch)).permutation(self.n_classes)
        rng = np.random.default_rng(derive_seed(self.seed, "batch", step))
        chosen = order[part * self.classes_per_batch : (part + 1) * self.classes_per_batch]
        drawn = [self._draw(self._groups[number], rng) for number in chosen]
        taken = np.concatenate(drawn)
        # where only one class has two rows, the batch needs a row of another one
        extra = max(self.extra_rows, 1) if len(chosen) == 1 else self.extra_rows
        if extra:
            rest = np.setdiff1d(self._labelled, self._groups[chosen[0]] if len(chosen) == 1 else taken)
            drawn.append(rng.choice(rest, size=min(extra, len(rest)), replace=False))
        return np.concatenate(drawn)

    def _draw(self, rows: IntArray, rng: np.random.Generator) -> IntArray:
        if len(rows) > self.samples_per_class:
            return rng.choice(rows, size=self.samples_per_class, replace=False)
        short = self.samples_per_class - len(rows)
        return np.concatenate([rows, rng.choice(rows, size=short)]) if self.fill and short else rows
