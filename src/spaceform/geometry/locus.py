"""Which labels a Frechet mean can reach from observed ones (the locus), and who has to be observed to reach all."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog

from spaceform.checks import check_choice
from spaceform.errors import InputError
from spaceform.geometry.finite import LabelMetric
from spaceform.geometry.tree import TreeMetric
from spaceform.types import BoolArray, FloatArray, IntArray

METHODS = ("auto", "tree", "lp")


def locus(metric: LabelMetric, observed: ArrayLike, *, method: str = "auto", tolerance: float = 1e-9) -> BoolArray:
    """Return the mask ``(N,)`` of the labels that are a Frechet mean of ``observed`` under some weights, ties included.

    ``Pi(L) = union over w in the simplex of argmin_y sum_i w_i d(y, l_i)^2`` (Loki, section 4). On a tree it is the
    subtree that L spans, found by pruning (``method="tree"``, O(N)). On any finite metric, ``y`` belongs iff weights
    exist under which no candidate is better: a linear programme per label (``"lp"``; K unknowns, N constraints),
    feasible within ``tolerance`` times the largest squared distance. ``"auto"`` prunes trees and solves else.

    Raises ``InputError`` for ids that are repeated or out of range, and for ``"tree"`` on another metric.
    """
    check_choice(method, "method", METHODS)
    ids = metric.distinct(observed)
    if method == "tree" and not isinstance(metric, TreeMetric):
        raise InputError("method", got="'tree'", expected=f"'lp' for a {type(metric).__name__}")
    if isinstance(metric, TreeMetric) and method != "lp":
        return metric.spanned(ids)
    squares = metric.squared_distances(ids)
    largest = float(squares.max())
    reached = np.zeros(len(metric), dtype=bool)
    reached[ids] = True
    if largest > 0:
        for label in np.flatnonzero(~reached):
            reached[label] = _least_excess(squares / largest, int(label)) <= tolerance
    return reached


def is_locus_cover(metric: LabelMetric, observed: ArrayLike, *, method: str = "auto", tolerance: float = 1e-9) -> bool:
    """Return whether every label can be reached from ``observed``. Parameters and cost as in :func:`locus`."""
    return bool(locus(metric, observed, method=method, tolerance=tolerance).all())


def minimum_locus_cover_tree(tree: TreeMetric) -> IntArray:
    """Return the ids of a smallest locus cover of a tree: its leaves (Loki, section 4). O(N).

    Raises ``InputError`` for another metric: finding a smallest cover is a hard problem in general.
    """
    if not isinstance(tree, TreeMetric):
        raise InputError("tree", got=type(tree).__name__, expected="a TreeMetric")
    return tree.leaves()


def _least_excess(squares: FloatArray, label: int) -> float:
    """Return how much variance ``label`` has above the best candidate, under the weights that favour it most.

    Minimise ``t`` over weights ``w`` in the simplex with ``sum_i w_i (s[i, label] - s[i, y]) <= t`` for all ``y``.
    """
    k, n = squares.shape
    excess = (squares[:, [label]] - squares).T
    found = linprog(
        c=np.append(np.zeros(k), 1.0),
        A_ub=np.hstack([excess, -np.ones((n, 1))]),
        b_ub=np.zeros(n),
        A_eq=np.append(np.ones(k), 0.0)[None, :],
        b_eq=[1.0],
        bounds=[(0, None)] * k + [(0, None)],
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return float(found.fun)
