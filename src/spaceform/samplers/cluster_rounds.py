"""Class-balanced batches from one cluster of rows at a time, the clusters in turn."""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_partial_labels
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.samplers.m_per_class import MPerClassSampler
from spaceform.types import IntArray


class ClusterBatch(NamedTuple):
    """Row numbers ``rows`` (int64) of one batch, all from ``cluster``."""

    rows: IntArray
    cluster: int


@final
class ClusterRounds:
    """Batches of ``classes_per_batch`` classes x ``samples_per_class`` rows from cluster 0, 1, ..., k - 1, 0, 1, ...

    Divide and conquer the embedding space (Sanakoyeu and others, CVPR 2019): every learner sees batches of its own
    cluster only. Parameters: ``labels (n,)`` integers, -1 is never drawn; ``clusters (n,)`` integers from 0; ``seed``.

    A class with a single row in a cluster is left out there. A cluster without two classes of two rows has no pairs to
    learn from and is skipped: nothing is made up for it. So is one with fewer rows than a batch, unless all are as
    small; then batches are smaller. ``skipped`` lists both kinds. An epoch takes ``steps_per_epoch`` batches: the
    largest cluster is gone through about once, shorter ones again and again.

    ``rounds(step)`` depends on ``seed`` and ``step`` alone. Raises ``InputError`` for arrays of other shapes and fewer
    than two samples per class. Without a cluster to draw from ``steps_per_epoch`` is 0. O(n log n), then O(batch).

    >>> rounds = ClusterRounds([0, 0, 1, 1] * 2, [0] * 4 + [1] * 4, classes_per_batch=2, samples_per_class=2)
    >>> [(batch.cluster, len(batch.rows)) for batch in map(rounds, range(3))]
    [(0, 4), (1, 4), (0, 4)]
    """

    def __init__(
        self,
        labels: ArrayLike,
        clusters: ArrayLike,
        *,
        classes_per_batch: int,
        samples_per_class: int,
        seed: int = 0,
    ) -> None:
        y = check_partial_labels(labels, len(np.asarray(labels)), "labels")
        parts = np.asarray(clusters)
        if parts.shape != y.shape or parts.dtype.kind not in "iu" or (len(parts) and parts.min() < 0):
            got = f"{parts.dtype} of shape {parts.shape}"
            raise InputError("clusters", got=got, expected=f"integers from 0, shape {y.shape}")
        check_integer(samples_per_class, "samples_per_class", low=2)
        batch = check_integer(classes_per_batch, "classes_per_batch", low=2) * samples_per_class
        numbers = range(int(parts.max(initial=-1)) + 1)
        within = {number: _with_partners(y, parts == number) for number in numbers}
        sizes = {number: int((kept >= 0).sum()) for number, kept in within.items()}
        useful = [number for number, kept in within.items() if len(np.unique(kept[kept >= 0])) > 1]
        full = [number for number in useful if sizes[number] >= batch]
        self.clusters = full or useful
        self.skipped = [number for number in numbers if number not in self.clusters]
        self._samplers = [
            MPerClassSampler(
                within[number],
                classes_per_batch=classes_per_batch,
                samples_per_class=samples_per_class,
                seed=derive_seed(seed, "cluster", number),
            )
            for number in self.clusters
        ]
        longest = max((sizes[number] for number in self.clusters), default=0)
        self.steps_per_epoch = len(self.clusters) * max(1, longest // batch) if self.clusters else 0

    def __call__(self, step: int) -> ClusterBatch:
        """Return batch ``step`` (0-based). Raises ``InputError`` when there is no cluster to draw from."""
        if not self.clusters:
            raise InputError("clusters", got="none with two classes of two rows", expected="at least one")
        turn, place = divmod(step, len(self.clusters))
        return ClusterBatch(self._samplers[place](turn), self.clusters[place])


def _with_partners(y: IntArray, inside: np.ndarray) -> IntArray:
    """Return the labels of one cluster, -1 elsewhere and for classes with a single row in it."""
    kept = np.where(inside, y, -1)
    names, counts = np.unique(kept, return_counts=True)
    return np.where(np.isin(kept, names[counts < 2]), -1, kept)
