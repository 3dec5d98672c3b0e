"""The rows of each class."""

from __future__ import annotations

import numpy as np

from spaceform.types import IntArray


def rows_by_class(labels: IntArray) -> list[IntArray]:
    """Return the rows of each class, ascending, for the classes in ascending order; rows labelled -1 are left out.

    ``labels (n,)`` int64 have passed the door. O(n log n).

    >>> rows_by_class(np.array([7, -1, 3, 7]))
    [array([2]), array([0, 3])]
    """
    order = np.argsort(labels, kind="stable")[np.count_nonzero(labels < 0) :]
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(order) else []
