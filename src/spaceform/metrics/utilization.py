"""How a set of unit vectors fills the sphere, and how near another set lies to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_labels, check_matrix, check_real
from spaceform.errors import InputError
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.ops.pairs import l2_normalize, row_blocks
from spaceform.types import FloatArray


def utilization(Q: ArrayLike, X: ArrayLike) -> float:
    """Return the mean squared distance of the rows of ``Q (m, d)`` to their nearest rows of ``X (n, d)``, from 0 to 4.

    Both are brought to unit length, on which it depends. With embeddings of test and training rows it is the
    utilization of the training set by the test set (Metrix, ICLR 2022): low means that every test row has a training
    row near by, so that the space it falls into was seen in training. More rows in ``X`` never raise it; it says
    nothing about classes. Raises ``InputError`` for NaN, zero rows and other widths. O(n m d) time, blocks of memory.

    >>> utilization([[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0]])  # distances 0 and sqrt(2)
    1.0
    """
    rows = _unit(Q, "Q")
    base = _unit(X, "X", width=rows.shape[1])
    _, nearest = nearest_neighbors(rows, base, k=1)
    # by differences: products of rows lose the digits of small distances
    return float(((rows - base[nearest[:, 0]]) ** 2).sum(1).mean())


def alignment(X: ArrayLike, y: ArrayLike) -> float:
    """Return the mean squared distance of two different rows of ``X (n, d)`` of one class, from 0 to 4: low is tight.

    Over all pairs of rows with one label in ``y (n,)``, on unit vectors (Wang and Isola, ICML 2020, with exponent 2).
    Raises ``InputError`` for NaN, zero rows, and when no class has two rows. O(n d).
    """
    rows = _unit(X, "X")
    labels = check_labels(y, len(rows))
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    pairs = counts * (counts - 1.0)
    if not pairs.any():
        raise InputError("y", got=f"{len(names)} classes of one row each", expected="a class with two rows")
    sums = np.zeros((len(names), rows.shape[1]))
    np.add.at(sums, codes, rows)
    # sum over ordered pairs of |a - b|^2 = 2 n^2 - 2 |sum a|^2 for n unit rows
    return float((2 * counts.astype(float) ** 2 - 2 * (sums * sums).sum(1)).sum() / pairs.sum())


def uniformity(X: ArrayLike, *, t: float = 2.0) -> float:
    """Return ``log mean exp(-t |a - b|^2)`` over pairs of different rows of ``X (n, d)``, n >= 2; lower is more even.

    On unit vectors (Wang and Isola, ICML 2020, whose ``t`` is 2). 0 when all rows are one point. Raises ``InputError``
    for NaN, zero rows, fewer than two rows, ``t <= 0``. O(n^2 d) time, blocks of memory.
    """
    rows = _unit(X, "X", min_rows=2)
    t = check_real(t, "t", low=0, open_ends=True)
    total = 0.0
    for block in row_blocks(len(rows), len(rows)):
        cosines = rows[block] @ rows.T
        total += float(np.exp(-2 * t * (1 - cosines)).sum())
    n = len(rows)
    return float(np.log(max(total - n, np.finfo(float).tiny) / (n * (n - 1))))


def _unit(X: ArrayLike, name: str, *, width: int | None = None, min_rows: int = 1) -> FloatArray:
    return l2_normalize(check_matrix(X, name, width=width, min_rows=min_rows, dtype=np.float64), name=name)
