"""Which cluster is which class: contingency tables and the one-to-one assignment that agrees most (Hungarian)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from spaceform.checks import check_labels
from spaceform.errors import InputError
from spaceform.types import IntArray


@dataclass(frozen=True)
class Contingency:
    """How often each class meets each cluster.

    ``counts (K, M)`` int64: rows of class ``classes[i]`` that lie in cluster ``clusters[j]``; both name arrays
    are sorted and hold only names that occur.
    """

    counts: IntArray
    classes: np.ndarray
    clusters: np.ndarray


def contingency(truth: ArrayLike, predicted: ArrayLike) -> Contingency:
    """Count classes against clusters. Both arguments are ``(n,)`` names of any sortable type.

    Raises ``InputError`` for empty input, unequal lengths and NaN. O(n) for integers in a range of about n, else
    O(n log n).
    """
    first = np.asarray(truth)
    if first.ndim != 1 or first.shape[0] == 0:
        raise InputError("truth", got=f"shape {first.shape}", expected="shape (n,) with n >= 1")
    classes, rows = _distinct(check_labels(first, len(first), "truth"))
    clusters, columns = _distinct(check_labels(predicted, len(first), "predicted"))
    counts = np.bincount(rows * len(clusters) + columns, minlength=len(classes) * len(clusters))
    return Contingency(counts.reshape(len(classes), len(clusters)).astype(np.int64), classes, clusters)


def assign(table: Contingency) -> tuple[IntArray, IntArray]:
    """Return indices ``(rows, columns)`` of the one-to-one pairs of classes and clusters with the largest total.

    With unequal numbers the surplus stays unmatched: its rows agree with nothing. O(max(K, M)^3).
    """
    # SciPy solves on float64 and would turn the signs in a pass of its own
    rows, columns = linear_sum_assignment(np.multiply(table.counts, -1.0))
    return rows.astype(np.int64), columns.astype(np.int64)


def agreement(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the share of rows whose cluster is the one matched to their class (clustering accuracy), in (0, 1].

    Symmetric in its arguments, and blind to the names of the clusters. Raises as :func:`contingency`.
    """
    table = contingency(truth, predicted)
    return float(table.counts[assign(table)].sum() / table.counts.sum())


def rename_clusters(new: ArrayLike, old: ArrayLike) -> np.ndarray:
    """Return ``new`` with each cluster renamed to the ``old`` cluster it overlaps most, one to one.

    Names are non-negative integers. Clusters without a partner get names above every name in ``old``, in order
    of their own name, so that a surplus cluster never takes over an old one's.
    """
    table = contingency(old, new)
    if not (np.issubdtype(table.classes.dtype, np.integer) and np.issubdtype(table.clusters.dtype, np.integer)):
        raise InputError("new", got=f"dtypes {table.clusters.dtype}, {table.classes.dtype}", expected="integer names")
    rows, columns = assign(table)
    overlap = table.counts[rows, columns] > 0
    names = np.full(len(table.clusters), -1, dtype=np.int64)
    names[columns[overlap]] = table.classes[rows[overlap]]
    unmatched = np.flatnonzero(names < 0)
    names[unmatched] = int(table.classes.max()) + 1 + np.arange(len(unmatched))
    return names[np.searchsorted(table.clusters, np.asarray(new))]


def _distinct(names: np.ndarray) -> tuple[np.ndarray, IntArray]:
    """Return the sorted names that occur and the place of each in them; small integers are counted, not sorted."""
    if names.dtype.kind in "iu":
        wide = names.astype(np.int64) if names.dtype.kind == "i" else names
        low = wide.min()
        span = int(wide.max()) - int(low) + 1
        if span <= 2 * len(names) + 1024:
            shifted = (wide - low).astype(np.int64)
            found = np.bincount(shifted, minlength=span) > 0
            return (np.flatnonzero(found).astype(wide.dtype) + low).astype(names.dtype), (np.cumsum(found) - 1)[shifted]
    kinds, places = np.unique(names, return_inverse=True)
    return kinds, places
