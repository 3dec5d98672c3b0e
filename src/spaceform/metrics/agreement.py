"""How far two spaces of the same items agree, without training anything on them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_matrix
from spaceform.errors import InputError
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.ops.pairs import l2_normalize
from spaceform.types import FloatArray


@dataclass(frozen=True)
class LatentAgreement:
    """Figures of two sets of vectors whose rows are the same items in one order; 1 is full agreement.

    ``jaccard``: overlap of the ``k`` nearest rows of the second space, searched with a row of the first and with its
    partner; ``mrr``: mean of 1 / rank of the partner among them, 0 where it is absent; ``cosine``: mean over partners;
    ``cka`` and ``procrustes`` as :func:`linear_cka` and :func:`procrustes_similarity`. The first three are symmetric
    only on average: search the other way, too.
    """

    k: int
    jaccard: float
    mrr: float
    cosine: float
    cka: float
    procrustes: float

    def to_dict(self) -> dict[str, float]:
        """Return plain values for JSON."""
        return asdict(self)


def latent_agreement(X: ArrayLike, Y: ArrayLike, *, k: int = 5) -> LatentAgreement:
    """Return how well ``X (n, d)`` finds its way in ``Y (n, d)``: row i of both is the same item.

    The figures of the paper's word-vector study (k = 5), by cosine. Relative coordinates have one width whatever
    the encoders have; for others use :func:`linear_cka`. Raises ``InputError`` for NaN, zero rows, other shapes and
    ``k > n``. O(n^2 d) time in blocks, O(n k + d^2) memory.
    """
    first, second = _pair(X, Y)
    if first.shape[1] != second.shape[1]:
        got = f"widths {first.shape[1]} and {second.shape[1]}"
        raise InputError("Y", got=got, expected="one width", remedy="make both relative, or use linear_cka")
    k = check_integer(k, "k", low=1, high=len(second))
    first, second = l2_normalize(first), l2_normalize(second, name="Y")
    found, own = (nearest_neighbors(rows, second, k=k)[1] for rows in (first, second))
    shared = (found[:, :, None] == own[:, None, :]).any(2).sum(1)
    hits = found == np.arange(len(found))[:, None]
    return LatentAgreement(
        k=k,
        jaccard=float((shared / (2 * k - shared)).mean()),
        mrr=float((hits / np.arange(1, k + 1)).sum(1).mean()),
        cosine=float((first * second).sum(1).mean()),
        cka=linear_cka(X, Y),
        procrustes=procrustes_similarity(X, Y),
    )


def linear_cka(X: ArrayLike, Y: ArrayLike) -> float:
    """Return ``|X'Y|^2 / (|X'X| |Y'Y|)`` of centred ``X (n, d)`` and ``Y (n, e)``, in [0, 1].

    Frobenius norms (Kornblith and others, ICML 2019). The same after rotation, scaling and shift of either. Raises
    ``InputError`` for NaN, other lengths and a set of equal rows. O(n (d + e)^2) time, no n x n matrix.
    """
    first, second = _centred(X, Y)
    norms = np.linalg.norm(first.T @ first) * np.linalg.norm(second.T @ second)
    return float(np.linalg.norm(first.T @ second) ** 2 / norms)


def procrustes_similarity(X: ArrayLike, Y: ArrayLike) -> float:
    """Return the sum of the singular values of ``X'Y`` of centred sets of unit norm, in [0, 1].

    1 when a rotation (an isometry into more dimensions), scaling and shift carry one into the other; the least squared
    distance that these leave is ``1 - s^2``. Shapes, errors and cost as in :func:`linear_cka`, and an SVD of d x e.
    """
    first, second = _centred(X, Y)
    total = np.linalg.svd(first.T @ second, compute_uv=False).sum()
    return float(total / (np.linalg.norm(first) * np.linalg.norm(second)))


def _pair(X: ArrayLike, Y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    first = check_matrix(X, "X", min_rows=2, dtype=np.float64)
    second = check_matrix(Y, "Y", dtype=np.float64)
    if len(first) != len(second):
        raise InputError("Y", got=f"{len(second)} rows", expected=f"{len(first)}, the same items as in X")
    return first, second


def _centred(X: ArrayLike, Y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    sets = [rows - rows.mean(0) for rows in _pair(X, Y)]
    for name, rows in zip("XY", sets, strict=True):
        if not np.abs(rows).max() > 0:
            raise InputError(name, got="equal rows", expected="rows that differ")
    return sets[0], sets[1]
