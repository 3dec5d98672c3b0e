"""ICNN score: do the nearest neighbours share the class, near by, with foreign rows far off? For given embeddings.

Mendez-Ruiz and others, SuSana Distancia is all you need, 2023; as a loss it is
:class:`spaceform.losses.few_shot.icnn.ICNNLoss`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_labels, check_matrix
from spaceform.errors import InputError
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.types import BoolArray, FloatArray

SMOOTH, NEAR_ZERO = 1e-6, 1e-7


@dataclass(frozen=True)
class ICNN:
    """``score = ((intra + inter) / 2 + gamma) / 2``; all in [0, 1], larger is better.

    ``intra``: how much nearer own-class neighbours are than the nearest foreign one; ``inter``: how even the distances
    of foreign neighbours are, relative to the largest of them; ``gamma``: the share of neighbours of the own class.
    """

    score: float
    intra: float
    inter: float
    gamma: float

    def to_dict(self) -> dict[str, float]:
        """Return plain values for JSON."""
        return asdict(self)


def icnn_score(
    X: ArrayLike,
    y: ArrayLike,
    *,
    reference: ArrayLike | None = None,
    reference_labels: ArrayLike | None = None,
    k: int = 4,
    window: int | None = None,
) -> ICNN:
    """Return the ICNN score of rows ``X (n, d)`` with labels ``y (n,)``, among themselves or a reference ``(m, d)``.

    The first ``k`` of the ``window`` nearest (None: k + 1) are scored; the rest of the window only looks for the
    nearest foreign row, so a window as large as a class makes ``intra`` speak of separation. ``k`` becomes ``m - 2``
    (and ``gamma`` 1) where fewer rows are there. A row is never its own neighbour; ties go to the lowest row.

    A known weakness: ``inter`` does not fall when classes interleave evenly, since equidistant foreign neighbours are
    all as far as the farthest; ``gamma`` and ``intra`` do. The score does not change when all rows are scaled.

    Raises ``InputError`` for NaN, fewer than two classes or three rows, ``k < 1``, a window below ``k`` or beyond the
    rows. O(n m d) time, O(n window) memory and one block.
    """
    rows = check_matrix(X, min_rows=1, dtype=np.float64)
    labels = check_labels(y, len(rows))
    if (reference is None) != (reference_labels is None):
        raise InputError("reference_labels", got="one of reference and its labels", expected="both or none")
    base = rows if reference is None else check_matrix(reference, "reference", width=rows.shape[1], dtype=np.float64)
    names = labels if reference_labels is None else check_labels(reference_labels, len(base), "reference_labels")
    if len(np.unique(names)) < 2:
        raise InputError("y", got=f"{len(np.unique(names))} class(es)", expected="at least two classes")
    m = len(base)
    few = check_integer(k, "k", low=1) + 2 >= m
    k = m - 2 if few else k
    if k < 1:
        raise InputError("X", got=f"{m} rows to look at", expected="at least three")
    seen = k + 1 if window is None else check_integer(window, "window", low=k, high=m - (reference is None))
    # distances are taken between rows near the origin, where rounding is least
    centre = base.mean(0)
    others = None if reference is None else base - centre
    distances, order = nearest_neighbors(rows - centre, others, k=seen)
    near = np.sqrt(distances**2 + SMOOTH)
    own = names[order] == labels[:, None]
    first, mine = near[:, :k], own[:, :k]
    foreign = np.where(own, np.inf, near).min(1, keepdims=True)
    ratios = first / (foreign + NEAR_ZERO)
    ratios /= np.maximum(ratios.max(1, keepdims=True), 1)
    intra = 1 - _mean_of_rows(ratios, mine, absent=0.0)
    farthest = np.where(mine, 0, first).max()
    inter = _mean_of_rows(first / max(farthest, NEAR_ZERO), ~mine, absent=1.0)
    gamma = 1.0 if few else float(mine.mean())
    return ICNN(score=((intra + inter) / 2 + gamma) / 2, intra=intra, inter=inter, gamma=gamma)


def _mean_of_rows(values: FloatArray, mask: BoolArray, *, absent: float) -> float:
    """Return the mean over rows that have a masked entry of the mean of these; ``absent`` if none has."""
    counts = mask.sum(1)
    some = counts > 0
    return float((np.where(mask, values, 0).sum(1)[some] / counts[some]).mean()) if some.any() else absent
