"""How well the order of distances between classes follows that of a tree of classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from spaceform.checks import check_integer, check_labels, check_matrix
from spaceform.errors import InputError
from spaceform.geometry.flat import squared_distances
from spaceform.ops.pairs import row_blocks
from spaceform.types import FloatArray

Pairwise = Callable[[FloatArray, FloatArray], FloatArray]
"""Distances ``(n, m)`` of two sets of rows."""


def euclidean(A: FloatArray, B: FloatArray) -> FloatArray:
    """Return Euclidean distances ``(n, m)``."""
    return np.sqrt(np.maximum(squared_distances(A, B), 0))


def mean_class_distances(X: ArrayLike, codes: ArrayLike, n_classes: int, pairwise: Pairwise = euclidean) -> FloatArray:
    """Return ``(C, C)``: the mean distance of the rows of two classes; NaN for a class without rows.

    ``X (n, d)``, ``codes (n,)`` in ``0..C-1``. The diagonal counts a row's distance 0 to itself. O(n^2 d) by blocks.
    """
    rows = check_matrix(X)
    classes = check_integer(n_classes, "n_classes", low=1)
    y = check_labels(codes, len(rows), "codes")
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= classes:
        raise InputError("codes", got=f"{y.dtype} to {y.max()}", expected=f"integers from 0 to {classes - 1}")
    member = np.zeros((len(rows), classes))
    member[np.arange(len(rows)), y] = 1
    sums = np.zeros((classes, classes))
    for block in row_blocks(len(rows), len(rows), itemsize=8):
        sums += member[block].T @ (pairwise(rows[block], rows) @ member)
    counts = member.sum(0)
    with np.errstate(invalid="ignore"):
        return sums / np.outer(counts, counts)


def tree_correlation(class_distances: ArrayLike, tree_distances: ArrayLike) -> float:
    """Return Spearman's rank correlation in [-1, 1] of two distances over all pairs of different classes.

    Both ``(C, C)`` and symmetric. Raises ``InputError`` for other shapes, fewer than three classes, NaN, and a tree in
    which all classes are equally far, where there is no order to follow. O(C^2 log C).
    """
    ours = check_matrix(class_distances, "class_distances", min_rows=3)
    tree = check_matrix(tree_distances, "tree_distances", min_rows=3)
    if ours.shape != tree.shape or ours.shape[0] != ours.shape[1]:
        got = f"shapes {ours.shape} and {tree.shape}"
        raise InputError("tree_distances", got=got, expected="two square matrices of one size")
    above = np.triu_indices(len(tree), 1)
    if np.ptp(tree[above]) == 0 or np.ptp(ours[above]) == 0:
        raise InputError("tree_distances", got="all classes equally far", expected="a tree with an order")
    return float(spearmanr(ours[above], tree[above]).statistic)
