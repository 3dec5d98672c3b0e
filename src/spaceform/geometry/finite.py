"""Finite metric spaces whose points are labels: the shared part of tree, graph, matrix and embedding metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spaceform.errors import InputError
from spaceform.geometry.variance import least_variance, tie_tolerance
from spaceform.types import FloatArray, IntArray

SHOWN = 5
"""Names listed in a message before it says how many more there are."""


class LabelMetric(ABC):
    """A distance between ``N`` labels, known by their ids ``0..N-1``; ``labels (N,)`` are their names.

    Rows of distances are made on demand: nothing here ever holds ``N x N`` numbers that the user did not bring.
    """

    def __init__(self, n: int, labels: ArrayLike | None) -> None:
        self.labels = name_array(labels, n)
        self._ids: dict[Hashable, int] | None = None

    def __len__(self) -> int:
        """Return the number of labels."""
        return len(self.labels)

    @abstractmethod
    def distance(self, a: ArrayLike, b: ArrayLike) -> FloatArray:
        """Return distances between the label ids ``a`` and ``b``, which broadcast."""

    @abstractmethod
    def distances(self, rows: ArrayLike, columns: IntArray | None = None) -> FloatArray:
        """Return float64 distances ``(K, M)`` from the ids ``rows (K,)`` to ``columns (M,)`` (None: all labels)."""

    def closeness(self, a: ArrayLike, b: ArrayLike) -> FloatArray:
        """Return minus the distances between the ids ``a`` and ``b``: larger is nearer."""
        return -self.distance(a, b)

    def squared_distances(self, rows: ArrayLike, columns: IntArray | None = None) -> FloatArray:
        """Return squared distances like :meth:`distances`, in float64 (small integer types would overflow)."""
        found = self.distances(rows, columns)
        return found * found

    def variances(self, weights: FloatArray, points: ArrayLike, columns: IntArray | None = None) -> FloatArray:
        """Return ``sum_k weights[n, k] d(points[k], y)^2`` as ``(n, M)`` for the ids ``y`` in ``columns``.

        Parameters: ``weights (n, K)`` non-negative, ``points (K,)`` ids. O(n K M) time, O((n + K) M) memory.
        """
        return np.asarray(weights, dtype=np.float64) @ self.squared_distances(points, columns)

    def means(
        self,
        weights: FloatArray,
        points: ArrayLike,
        *,
        candidates: IntArray | None = None,
        tolerance: float | None = None,
    ) -> tuple[IntArray, FloatArray]:
        """Return ids (n,) and variances (n,) of the Frechet means of ``points (K,)`` under each row of weights.

        Parameters: ``weights (n, K)`` non-negative, no zero row; ``candidates`` the ascending ids that may be
        predicted (None: all); ``tolerance`` the relative difference under which variances tie (the lowest id wins).
        O(n K M) time in blocks.
        """
        tolerance = tie_tolerance(weights.dtype) if tolerance is None else tolerance
        ids = np.arange(len(self)) if candidates is None else np.asarray(candidates, dtype=np.int64)
        position, value = least_variance(
            np.asarray(weights, dtype=np.float64),
            lambda chosen: self.squared_distances(points, ids[chosen]),
            len(ids),
            tolerance=tolerance,
        )
        return ids[position], value

    def mean(self, points: ArrayLike, weights: ArrayLike | None = None) -> int:
        """Return the id of the Frechet mean of ``points (K,)`` under ``weights (K,)`` (None: equal)."""
        chosen = self.checked(points, "points")
        given = np.ones(len(chosen)) if weights is None else np.asarray(weights, dtype=np.float64)
        if given.shape != chosen.shape or len(chosen) == 0:
            raise InputError("weights", got=f"shape {given.shape}", expected=f"shape {chosen.shape}, at least one")
        if not np.isfinite(given).all() or (given < 0).any() or not given.sum() > 0:
            raise InputError("weights", got="NaN, a negative number or only zeros", expected="non-negative, not all 0")
        return int(self.means(given[None, :], chosen)[0][0])

    def index(self, names: ArrayLike, argument: str = "labels") -> IntArray:
        """Return the ids of ``names``. Raises ``InputError`` that lists those which this metric does not know."""
        values = np.asarray(names)
        if self._ids is None:
            self._ids = {name: position for position, name in enumerate(self.labels.tolist())}
        distinct, inverse = np.unique(values, return_inverse=True)
        found = [self._ids.get(name, -1) for name in distinct.tolist()]
        unknown = [str(name) for name, position in zip(distinct.tolist(), found, strict=True) if position < 0]
        if unknown:
            raise InputError(
                argument,
                got=f"{some(unknown)}, unknown to the label metric",
                expected=f"labels among its {len(self):,} ({some(list(map(str, self.labels[:SHOWN])), len(self))})",
                remedy="add them to the metric, or leave such rows out",
            )
        return np.asarray(found, dtype=np.int64)[inverse].reshape(values.shape)

    def check(self, x: Any) -> str | None:
        """Return why ``x`` does not hold label ids, or None if it does."""
        ids = np.asarray(x)
        if ids.dtype.kind not in "iu":
            return f"dtype {ids.dtype} is not an integer type"
        if ids.size and (ids.min() < 0 or ids.max() >= len(self)):
            return f"an id is outside 0 to {len(self) - 1}"
        return None

    def checked(self, ids: ArrayLike, argument: str) -> IntArray:
        """Return ``ids`` as int64, or raise an ``InputError`` saying why they are no ids of this metric."""
        array = np.asarray(ids)
        reason = self.check(array)
        if reason is not None:
            raise InputError(argument, got=f"{array.dtype} ids: {reason}", expected=f"ids from 0 to {len(self) - 1}")
        return array.astype(np.int64)

    def distinct(self, ids: ArrayLike, argument: str = "observed") -> IntArray:
        """Return ``ids`` as int64 if they are one or more distinct ids; else raise ``InputError``."""
        array = self.checked(ids, argument)
        if array.ndim != 1 or len(array) == 0:
            raise InputError(argument, got=f"shape {array.shape}", expected="at least one id, shape (K,)")
        found, counts = np.unique(array, return_counts=True)
        if len(found) < len(array):
            raise InputError(argument, got=f"the id {found[counts > 1][0]} more than once", expected="distinct ids")
        return array


def name_array(labels: ArrayLike | None, n: int) -> np.ndarray:
    """Return ``labels`` as an array of ``n`` distinct names (None: the ids); raises ``InputError`` else."""
    if n < 1:
        raise InputError("labels", got="no label", expected="at least one")
    if labels is None:
        return np.arange(n)
    names = np.asarray(labels)
    if names.shape != (n,):
        raise InputError("labels", got=f"shape {names.shape}", expected=f"shape ({n},), one name per label")
    distinct, counts = np.unique(names, return_counts=True)
    if len(distinct) < n:
        twice = list(map(str, distinct[counts > 1]))
        raise InputError("labels", got=f"{some(twice)} more than once", expected="distinct names")
    return names


def some(names: list[str], total: int | None = None) -> str:
    """Return the first names and how many more there are (of ``total``, default all given), for a message."""
    count = len(names) if total is None else total
    rest = count - min(SHOWN, len(names))
    return ", ".join(map(repr, names[:SHOWN])) + (f" and {rest:,} more" if rest > 0 else "")


def describe_components(component: IntArray, labels: np.ndarray) -> str:
    """Return how many components there are, with size and first label of the largest, for a message."""
    sizes = np.bincount(component)
    largest = np.argsort(-sizes, kind="stable")[:SHOWN]
    shown = [
        f"{labels[np.argmax(component == c)]!s} ({sizes[c]:,} label{'s' if sizes[c] > 1 else ''})" for c in largest
    ]
    rest = f" and {len(sizes) - SHOWN:,} more" if len(sizes) > SHOWN else ""
    return f"{len(sizes):,} components: those of {', '.join(shown)}{rest}"
