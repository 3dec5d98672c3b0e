"""The shape of a cloud of vectors without labels: hubs, intrinsic dimension, anisotropy, near-duplicates.

Figures of neighbourhoods take what :func:`spaceform.ops.neighbors.nearest_neighbors` returns, so that one search
serves all of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_matrix, check_real
from spaceform.errors import InputError
from spaceform.ops.pairs import l2_normalize, row_blocks
from spaceform.types import FloatArray, IntArray


@dataclass(frozen=True)
class Hubness:
    """Who appears among the ``k`` nearest neighbours of how many rows.

    ``skewness`` of the k-occurrences (0: even; above about 1: hubs), ``robin_hood``: the share of occurrences
    that would have to move to make all equal, in [0, 1); ``antihubs``: the share of rows that are nobody's
    neighbour; ``largest``: the most occurrences of one row; ``top_share``: the share of all rows that have at
    least one of the ``hubs`` (row numbers, most frequent first) among their neighbours.
    """

    k: int
    skewness: float
    robin_hood: float
    antihubs: float
    largest: int
    hubs: tuple[int, ...]
    top_share: float

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self) | {"hubs": list(self.hubs)}


@dataclass(frozen=True)
class Anisotropy:
    """How unevenly vectors fill their space.

    ``mean_cosine`` of two different rows, in [-1, 1] (0 for isotropic directions, near 1 in a narrow cone);
    ``effective_rank``: exp of the entropy of the normalised singular values of the centred rows (Roy and
    Vetterli, 2007); ``participation_ratio``: ``(sum l)^2 / sum l^2`` of the eigenvalues of the covariance. Both
    are in [1, d]. ``top_share`` is the share of variance along the first principal direction.
    """

    mean_cosine: float
    effective_rank: float
    participation_ratio: float
    top_share: float

    def to_dict(self) -> dict[str, float]:
        """Return plain values for JSON."""
        return asdict(self)


def k_occurrences(neighbors: ArrayLike, n: int | None = None) -> IntArray:
    """Return how often each of ``n`` rows (default: as many as lists) stands in the lists ``neighbors (m, k)``."""
    lists = _check_lists(neighbors)
    size = len(lists) if n is None else check_integer(n, "n", low=int(lists.max()) + 1)
    return np.bincount(lists.ravel(), minlength=size).astype(np.int64)


def hubness(neighbors: ArrayLike, n: int | None = None, *, n_hubs: int = 3) -> Hubness:
    """Return the hubness of neighbour lists ``(m, k)`` over ``n`` rows (Radovanovic, Nanopoulos, Ivanovic, 2010).

    Robin Hood index: Feldbauer and others (2018). When every row occurs equally often the skewness is 0. Hubs are the
    ``n_hubs`` most frequent rows. Raises ``InputError`` for lists that are not a matrix of row numbers. O(m k).
    """
    lists = _check_lists(neighbors)
    counts = k_occurrences(lists, n)
    n_hubs = check_integer(n_hubs, "n_hubs", low=1)
    mean, spread = counts.mean(), counts.std()
    hubs = np.argsort(-counts, kind="stable")[:n_hubs]
    return Hubness(
        k=lists.shape[1],
        skewness=float(((counts - mean) ** 3).mean() / spread**3) if spread > 0 else 0.0,
        robin_hood=float(np.abs(counts - mean).sum() / (2 * counts.sum())),
        antihubs=float((counts == 0).mean()),
        largest=int(counts.max()),
        hubs=tuple(int(row) for row in hubs),
        top_share=float(np.isin(lists, hubs).any(1).mean()),
    )


def two_nn_dimension(distances: ArrayLike, *, discard: float = 0.1) -> float:
    """Return the intrinsic dimension from the two nearest distances of every row (Facco and others, 2017).

    ``distances (n, k)`` ascending, k >= 2. With ``mu = r_2 / r_1`` the points ``(ln mu, -ln(1 - F(mu)))`` lie on a
    line through the origin whose slope is the dimension; the largest share ``discard`` of ``mu`` (0.1 in the paper)
    is left out of the fit. Rows with a duplicate (``r_1 = 0``) are left out. Raises ``InputError`` when fewer than
    10 rows or no two different ratios are left. O(n log n).
    """
    nearest = _check_distances(distances, 2)
    kept = nearest[nearest[:, 0] > 0]
    if len(kept) < 10:
        raise InputError("distances", got=f"{len(kept)} rows without a duplicate", expected="10 or more")
    ratios = np.sort(np.log(kept[:, 1]) - np.log(kept[:, 0]))
    level = np.arange(1, len(kept) + 1) / len(kept)
    use = max(2, int(len(kept) * (1 - check_real(discard, "discard", low=0, high=0.9))))
    use = min(use, len(kept) - 1)  # the last level is 1, where the logarithm ends
    x, y = ratios[:use], -np.log1p(-level[:use])
    if not x.any():
        raise InputError("distances", got="two nearest rows equally far everywhere", expected="ratios that differ")
    return float((x @ y) / (x @ x))


def levina_bickel_dimension(distances: ArrayLike) -> float:
    """Return the maximum-likelihood intrinsic dimension (Levina and Bickel, 2004) of neighbour distances ``(n, k)``.

    The inverse estimates ``1/(k-1) sum_(j<k) ln(T_k / T_j)`` are averaged before inverting, as MacKay and
    Ghahramani (2005) corrected it. Rows with a duplicate are left out. Ascending, k >= 3. Raises ``InputError``
    when no row, or no spread of distances, is left. O(n k).
    """
    lists = _check_distances(distances, 3)
    kept = lists[lists[:, 0] > 0]
    if len(kept) == 0:
        raise InputError("distances", got="only rows with duplicates", expected="a row without")
    inverse = float((np.log(kept[:, -1:]) - np.log(kept[:, :-1])).mean())
    if inverse <= 0:
        raise InputError("distances", got="neighbours that are all equally far", expected="distances that differ")
    return 1 / inverse


def anisotropy(X: ArrayLike) -> Anisotropy:
    """Return mean cosine, effective rank and participation ratio of the rows of ``X (n, d)``, n >= 2.

    Raises ``InputError`` for zero rows (they have no direction) and when all rows are equal. O(n d min(n, d)).
    """
    rows = check_matrix(X, min_rows=2).astype(np.float64)
    n = len(rows)
    total = l2_normalize(rows).sum(0)
    centred = rows - rows.mean(0)
    gram = centred.T @ centred if rows.shape[1] <= n else centred @ centred.T
    spectrum = np.maximum(np.linalg.eigvalsh(gram), 0)[::-1]
    if spectrum[0] <= 1e-24 * float((rows * rows).sum()):
        raise InputError("X", got="rows that are all equal", expected="at least two different rows")
    shares = np.sqrt(spectrum / spectrum[0])
    shares = shares[shares > 1e-12] / shares.sum()
    return Anisotropy(
        mean_cosine=float((total @ total - n) / (n * (n - 1))),
        effective_rank=float(np.exp(-(shares * np.log(shares)).sum())),
        participation_ratio=float(spectrum.sum() ** 2 / (spectrum @ spectrum)),
        top_share=float(spectrum[0] / spectrum.sum()),
    )


def neighbor_distances(X: ArrayLike, neighbors: ArrayLike, rows: ArrayLike | None = None) -> FloatArray:
    """Return the exact distances ``(m, k)`` float64 of rows of ``X`` to those in their lists ``neighbors (m, k)``.

    By direct differences, so copies are at distance 0; a search by matrix products ranks well, but its distances lose
    their digits near 0. List i belongs to row i, or to ``rows[i]``. Raises ``InputError`` for lists that do not fit.
    O(m k d) time, blocks of memory.
    """
    base = check_matrix(X)
    lists = _check_lists(neighbors)
    own = np.arange(len(lists)) if rows is None else np.asarray(rows, dtype=np.int64)
    if own.shape != (len(lists),) or max(lists.max(), own.max()) >= len(base) or own.min() < 0:
        raise InputError("neighbors", got=f"{len(lists)} lists up to row {lists.max()}", expected=f"{len(base)} rows")
    distances = np.empty(lists.shape)
    for block in row_blocks(len(lists), lists.shape[1] * base.shape[1]):
        gaps = base[lists[block]].astype(np.float64) - base[own[block], None]
        distances[block] = np.sqrt(np.einsum("nkd,nkd->nk", gaps, gaps))
    return distances


def near_duplicates(
    neighbors: ArrayLike, distances: ArrayLike, *, rows: ArrayLike | None = None, ratio: float = 0.1
) -> tuple[IntArray, IntArray, FloatArray, float]:
    """Return pairs of rows that are suspiciously close: ``(heads, tails, distances, scale)``, nearest first.

    ``distances (m, k)`` are those of :func:`neighbor_distances`. A pair counts when one row stands in the other's
    list and their distance is at most ``ratio`` times ``scale``, the median over rows of the distance to the
    farthest listed neighbour. Relative, because in a narrow cone of vectors (mean cosine 0.99) no fixed threshold
    means anything. ``heads < tails``; copies are at distance 0. Of a group of more than k copies not all pairs are
    listed. Raises ``InputError`` for lists and distances of unequal shape. O(m k).
    """
    lists = _check_lists(neighbors)
    gaps = check_matrix(distances, "distances", dtype=np.float64)
    if gaps.shape != lists.shape:
        raise InputError("distances", got=f"shape {gaps.shape}", expected=f"shape {lists.shape}, as neighbors")
    own = np.arange(len(lists)) if rows is None else np.asarray(rows, dtype=np.int64)
    scale = float(np.median(gaps.max(1)))
    at, place = np.nonzero(gaps <= check_real(ratio, "ratio", low=0) * scale)
    ends = np.sort(np.stack([own[at], lists[at, place]], axis=1), axis=1)
    ends, first = np.unique(ends, axis=0, return_index=True)
    lengths = gaps[at, place][first]
    order = np.argsort(lengths, kind="stable")
    return ends[order, 0], ends[order, 1], lengths[order], scale


def _check_lists(neighbors: ArrayLike) -> IntArray:
    lists = np.asarray(neighbors)
    if lists.ndim != 2 or lists.size == 0 or lists.dtype.kind not in "iu" or lists.min() < 0:
        raise InputError(
            "neighbors", got=f"{lists.dtype} of shape {lists.shape}", expected="row numbers of shape (n, k)"
        )
    return lists.astype(np.int64)


def _check_distances(distances: ArrayLike, k: int) -> FloatArray:
    lists = check_matrix(distances, "distances", dtype=np.float64)
    if lists.shape[1] < k or lists.min() < 0 or (np.diff(lists, axis=1) < 0).any():
        raise InputError("distances", got=f"shape {lists.shape}", expected=f"ascending distances of {k} neighbours")
    return lists
