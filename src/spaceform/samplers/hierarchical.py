"""Batches of classes that lie near each other in a hierarchy, so that negatives are hard."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_partial_labels
from spaceform.errors import InputError, NoPairsError
from spaceform.rng import derive_seed
from spaceform.types import IntArray


@final
class HierarchicalSampler:
    """Rows of a few super-classes, some classes of each, some rows of each class.

    Negatives of one super-class are harder than those of a random batch (Stanford Online Products is trained with two
    of its twelve categories per batch). Parameters: ``labels (n,)`` integers, -1 marks rows that are never drawn;
    ``superclasses (n,)`` integers, one for every class; ``superclasses_per_batch`` (2), ``classes_per_superclass``,
    ``samples_per_class`` >= 2; ``seed``. A super-class with fewer classes, or a class with fewer rows, gives all it
    has; a class of one row is never drawn. Every super-class comes once per epoch, and its partners change with the
    epoch (pytorch-metric-learning goes through all pairs of super-classes in one epoch instead).

    ``sampler(step)`` depends on ``seed`` and ``step`` alone. With ``world_size`` processes, ``rank`` gets its part of
    the same plan: the parts of all ranks, one after the other, are the batch of one process.

    Raises ``InputError`` for a class in two super-classes, ``NoPairsError`` when fewer than two classes have two rows.
    O(rows of a batch + classes of its super-classes) per step.

    >>> labels, superclasses = [0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 1, 1, 1, 1]
    >>> sampler = HierarchicalSampler(labels, superclasses, classes_per_superclass=2, superclasses_per_batch=1, seed=0)
    >>> sorted(sampler(0).tolist()) in ([0, 1, 2, 3], [4, 5, 6, 7])
    True
    """

    def __init__(
        self,
        labels: ArrayLike,
        superclasses: ArrayLike,
        *,
        superclasses_per_batch: int = 2,
        classes_per_superclass: int,
        samples_per_class: int = 2,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        y = np.asarray(labels)
        y = check_partial_labels(y, len(y), "labels")
        groups = check_partial_labels(superclasses, len(y), "superclasses")
        self.superclasses_per_batch = check_integer(superclasses_per_batch, "superclasses_per_batch", low=1)
        self.classes_per_superclass = check_integer(classes_per_superclass, "classes_per_superclass", low=1)
        self.samples_per_class = check_integer(samples_per_class, "samples_per_class", low=2)
        self.seed = check_integer(seed, "seed", low=0)
        self.world_size = check_integer(world_size, "world_size", low=1)
        self.rank = check_integer(rank, "rank", low=0, high=world_size - 1)
        self._tree = _tree(y, groups)
        if sum(len(classes) for classes in self._tree) < 2:
            raise NoPairsError("labels", got="fewer than two classes with two rows", expected="at least two")

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every super-class comes once; the last one may have fewer of them."""
        return -(-len(self._tree) // self.superclasses_per_batch)

    def __call__(self, step: int) -> IntArray:
        """Return the rows of batch ``step`` (0-based), int64, class by class."""
        epoch, part = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng(derive_seed(self.seed, "epoch", epoch)).permutation(len(self._tree))
        rng = np.random.default_rng(derive_seed(self.seed, "batch", step))
        drawn = []
        for number in order[part * self.superclasses_per_batch : (part + 1) * self.superclasses_per_batch]:
            classes = self._tree[number]
            count = min(self.classes_per_superclass, len(classes))
            for chosen in rng.choice(len(classes), size=count, replace=False):
                rows = classes[chosen]
                drawn.append(rng.choice(rows, size=min(self.samples_per_class, len(rows)), replace=False))
        batch = np.concatenate(drawn)
        bounds = np.linspace(0, len(batch), self.world_size + 1).astype(int)
        return batch[bounds[self.rank] : bounds[self.rank + 1]]


def _tree(labels: IntArray, superclasses: IntArray) -> list[list[IntArray]]:
    """Return for every super-class the rows of each of its classes that have two."""
    order = np.lexsort((labels, superclasses))
    order = order[(labels[order] >= 0) & (superclasses[order] >= 0)]
    y, groups = labels[order], superclasses[order]
    pairs = np.unique(np.stack([y, groups], axis=1), axis=0)
    if len(np.unique(pairs[:, 0])) < len(pairs):
        double = pairs[1:, 0][np.diff(pairs[:, 0]) == 0][0]
        raise InputError("superclasses", got=f"class {double} in two of them", expected="one super-class per class")
    tree: dict[int, list[IntArray]] = {}
    for rows in np.split(order, np.flatnonzero(np.diff(y) | np.diff(groups)) + 1):
        if len(rows) > 1:
            tree.setdefault(int(superclasses[rows[0]]), []).append(rows)
    return list(tree.values())
