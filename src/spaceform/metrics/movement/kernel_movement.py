"""Kernel movement: how far training, or a change of encoder, moved what the vectors say of pairs of rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_labels, check_matrix, label_codes
from spaceform.errors import InputError
from spaceform.metrics.agreement import linear_cka
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.ops.pairs import l2_normalize
from spaceform.types import FloatArray

FROZEN = 0.05
"""Relative movement of the kernel below which features count as frozen: a random net of some 10^4 units moves less."""


@dataclass(frozen=True, kw_only=True)
class KernelMovement:
    """What moved between vectors ``X (n, d)`` and ``Y (n, e)`` of the same rows.

    ``kernel``: ``|K_Y/|K_Y| - K_X/|K_X||``, Frobenius norms of Gram matrices: 0 to sqrt(2), free of scale and rotation.
    ``centred`` the same for rows less their mean: what differs between rows moved. ``cka``: linear CKA, 1 is no
    movement. ``neighbours``: share of the ``k`` nearest rows (by cosine) that are others now. ``coordinates``:
    ``|Y - X| / |X|``, None when the widths differ; rotations count. ``labels``: (before, after) alignment of the
    centred kernel with that of the classes, None without labels.
    """

    rows: int
    k: int
    kernel: float
    centred: float
    cka: float
    neighbours: float
    coordinates: float | None
    labels: tuple[float, float] | None

    @property
    def frozen(self) -> bool:
        """Whether the centred kernel moved by less than :data:`FROZEN`: training, if any, was kernel regression."""
        return self.centred < FROZEN

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self) | {"frozen": self.frozen}


def kernel_movement(X: ArrayLike, Y: ArrayLike, labels: ArrayLike | None = None, *, k: int = 10) -> KernelMovement:
    """Return how far ``Y (n, e)`` is from ``X (n, d)``: row i of both is the same item, before and after.

    ``labels (n,)``, integer -1 for unlabelled rows (left out of their figure only). Raises ``InputError`` for NaN,
    unequal numbers of rows, zero rows (their neighbours have no cosine), equal rows, and ``k >= n``.
    O(n^2 (d + e)) for neighbours in blocks, O(n (d + e)^2) for the rest; no n x n matrix.

    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> turn = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    >>> round(kernel_movement(X, 3 * X @ turn).kernel, 6)
    0.0
    """
    before = check_matrix(X, "X", min_rows=3, dtype=np.float64)
    after = check_matrix(Y, "Y", dtype=np.float64)
    n = len(before)
    if len(after) != n:
        raise InputError("Y", got=f"{len(after)} rows", expected=f"{n}, the same items as in X")
    k = check_integer(k, "k", low=1, high=n - 1)
    alignment = linear_cka(before, after)
    same_width = before.shape[1] == after.shape[1]
    return KernelMovement(
        rows=n,
        k=k,
        kernel=_chord(_alignment(before, after)),
        centred=_chord(alignment),
        cka=alignment,
        neighbours=_replaced(before, after, k),
        coordinates=float(np.linalg.norm(after - before) / np.linalg.norm(before)) if same_width else None,
        labels=None if labels is None else _label_alignment(before, after, check_labels(labels, n, "labels")),
    )


def _alignment(X: FloatArray, Y: FloatArray) -> float:
    return float(np.linalg.norm(X.T @ Y) ** 2 / (np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y)))


def _chord(alignment: float) -> float:
    """Return the distance of two matrices of norm 1 with this inner product; rounding below 0 is cut."""
    return float(np.sqrt(max(0.0, 2 - 2 * alignment)))


def _replaced(X: FloatArray, Y: FloatArray, k: int) -> float:
    lists = []
    for name, rows in (("X", X), ("Y", Y)):
        unit = l2_normalize(rows, name=name)
        _, found = nearest_neighbors(unit, unit, k=k + 1)
        own = found == np.arange(len(rows))[:, None]
        own[~own.any(1), -1] = True  # equal rows: the row itself was not among the first
        lists.append(found[~own].reshape(len(rows), k))
    kept = (lists[0][:, :, None] == lists[1][:, None, :]).any(2)
    return float(1 - kept.mean())


def _label_alignment(X: FloatArray, Y: FloatArray, labels: np.ndarray) -> tuple[float, float] | None:
    classes, codes = label_codes(labels)
    known = codes >= 0
    if len(classes) < 2:
        return None
    marks = np.eye(len(classes))[codes[known]]
    return linear_cka(X[known], marks), linear_cka(Y[known], marks)
