"""How tree-like a metric is: Gromov's hyperbolicity."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_matrix
from spaceform.errors import InputError
from spaceform.rng import as_generator
from spaceform.types import RandomState


def gromov_delta(distances: ArrayLike, *, max_points: int = 1500, random_state: RandomState = None) -> float:
    """Return the relative hyperbolicity ``2 delta / diameter`` in [0, 1] of ``distances (n, n)``: 0 for a tree.

    delta is the smallest number with ``(x|z) >= min((x|y), (y|z)) - delta`` for the Gromov products ``(x|y) = (d(x, w)
    + d(y, w) - d(x, y)) / 2`` at one base point w (the first one); from another it may be up to twice as large. Above
    ``max_points`` points a random subset is taken, as of Khrulkov and others (CVPR 2020), whose sample this is.

    Raises ``InputError`` unless the matrix is square, symmetric, at least 0, with zeros on its diagonal, and for fewer
    than two points or points that all meet. O(n^3) time, O(n^2) memory.
    """
    d = check_matrix(distances, "distances", min_rows=2)
    n = check_integer(max_points, "max_points", low=2)
    scale = float(np.abs(d).max())
    if d.shape[0] != d.shape[1] or d.min() < 0 or np.diag(d).any() or np.abs(d - d.T).max() > 1e-5 * scale:
        raise InputError("distances", got=f"shape {d.shape}", expected="a symmetric matrix of distances")
    if len(d) > n:
        chosen = np.sort(as_generator(random_state).permutation(len(d))[:n])
        d = d[np.ix_(chosen, chosen)]
    if d.max() == 0:
        raise InputError("distances", got="points that all meet", expected="at least two places")
    products = (d[:1] + d[:1].T - d) / 2
    delta = max(float((np.minimum(row[:, None], products).max(0) - row).max()) for row in products)
    return 2 * delta / float(d.max())
