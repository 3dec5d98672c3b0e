"""The directions that a linear head does not look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_matrix, check_real
from spaceform.errors import InputError
from spaceform.types import FloatArray


def null_space_projector(W: ArrayLike, rtol: float = 1e-6) -> FloatArray:
    """Return ``P = I - pinv(W) W``, the orthogonal projector ``(D, D)`` on what ``W (C, D)`` maps to 0, in float64.

    Singular values below ``rtol`` times the largest count as 0, so that a repeated row takes one direction. ``P`` is
    symmetric, ``P P = P``, ``W P = 0``, and its trace is its rank, ``D - rank(W)``.

    Raises ``InputError`` when nothing is left: ``rank(W) = D``. O(C D min(C, D) + D^2 C).

    >>> null_space_projector([[2.0, 0.0]])
    array([[0., 0.],
           [0., 1.]])
    """
    rows = check_matrix(W, "W", dtype=np.float64)
    check_real(rtol, "rtol", low=0, high=1, open_ends=True)
    _, sizes, directions = np.linalg.svd(rows, full_matrices=False)
    kept = directions[sizes > rtol * sizes[0]]
    if len(kept) == rows.shape[1]:
        got = f"weights of rank {len(kept)} over {rows.shape[1]} dimensions"
        raise InputError("W", got=got, expected="a smaller rank: no direction is left", remedy="pass null_space=None")
    projector: FloatArray = np.eye(rows.shape[1]) - kept.T @ kept
    return projector
