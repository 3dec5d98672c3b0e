"""Queries as the kernels take them: exact, in 16 bits against 8-bit codes, in 4 bits against 1-bit codes."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan.layout import Layout
from spaceform.types import FloatArray

PLANES = 4
"""Bits per query coordinate against 1-bit codes: enough for their error to dominate (RaBitQ, section 3.3)."""

_TOP = 2**31 - 1


class Asked(NamedTuple):
    """Queries, one row each. ``exact (q, d)`` float64 and ``norms``; the rest serves the screens.

    8 bits: the score of a row is ``offset + scale (weights . codes) + level``, off by at most ``slack error + pad``.
    Cells: ``cells`` holds the scores of the centroids without level, ``reach`` an upper bound of a score in each cell.
    1 bit: ``planes`` and ``low + step u`` the query in four bits, ``total`` the sum of its coordinates, ``doubt`` the
    factor of ``deviation``.
    """

    exact: FloatArray
    norms: FloatArray
    weights: NDArray[np.int16]
    scale: FloatArray
    offset: FloatArray
    slack: FloatArray
    pad: FloatArray
    cells: FloatArray
    reach: FloatArray
    planes: NDArray[np.uint64]
    low: FloatArray
    step: FloatArray
    total: FloatArray
    doubt: FloatArray


def prepare(queries: NDArray[np.float32], layout: Layout, metric: str, *, recall: float) -> Asked:
    """Encode queries ``(q, d)`` against 8-bit codes; O(q d).

    At ``recall`` 1 bounds are those of Cauchy and Schwarz. Below, the error of a code is taken as random in direction,
    and a bound is exceeded with probability ``(1 - recall) / 4``.
    """
    norms = np.sqrt((queries.astype(np.float64) ** 2).sum(axis=1))
    return encode(queries, norms, layout, metric, share=share_of(recall, queries.shape[1]))


def encode(queries: NDArray[np.float32], norms: FloatArray, layout: Layout, metric: str, *, share: float) -> Asked:
    """Encode queries of known norms; ``share`` of an error may point along the query."""
    exact = queries.astype(np.float64)
    asked, start = _screening(exact, norms, layout, metric)
    weights = asked * layout.steps
    top = min(32_767, _TOP // (255 * exact.shape[1]))
    scale = np.abs(weights).max(axis=1) / top
    scale[scale == 0] = 1.0
    whole = np.rint(weights / scale[:, None])
    lost = weights - scale[:, None] * whole
    size = _norm(asked)
    offset = start + asked @ layout.minima + 128 * lost.sum(axis=1)
    pad = _norm(lost) * float(layout.spread[0]) + 1e-12 * (np.abs(start) + size)
    pad += _rounding(size, layout)
    none, flat = np.empty((len(exact), 0)), np.zeros(len(exact))
    return Asked(
        exact, norms, whole.astype(np.int16), scale, offset, size * share, pad,
        none, none, np.empty((len(exact), PLANES, 0), np.uint64), flat, flat, flat, flat,
    )  # fmt: skip


def with_cells(asked: Asked, layout: Layout, metric: str, *, gamma: float | FloatArray) -> Asked:
    """Add the scores of the centroids, and the best score that each cell may hold.

    ``gamma`` in (0, 1] (one, or one per query) is the share of a cell's radius that is believed to point to the query;
    1 is a bound.
    O(q n_cells d).
    """
    products = turned(asked.exact, asked.norms, layout, metric).astype(np.float32) @ layout.centroids.T
    return with_products(asked, products, layout, metric, gamma=gamma)


def with_products(
    asked: Asked, products: NDArray[np.floating], layout: Layout, metric: str, *, gamma: float | FloatArray
) -> Asked:
    """Add the same from products of the queries with the centroids."""
    turned, start = _screening(asked.exact, asked.norms, layout, metric)
    share = np.broadcast_to(gamma, len(turned))[:, None]
    products = products.astype(np.float64)
    size, centroid = _norm(turned), layout.lengths
    rough = 4 * (turned.shape[1] + 8) * float(np.finfo(np.float32).eps) * size[:, None] * centroid
    if metric == "euclidean":
        squares = np.maximum(0.0, centroid**2 - start[:, None] - products - rough)
        reach = -(np.maximum(0.0, np.sqrt(squares) - share * layout.radius) ** 2) * (1 - 1e-9) + asked.pad[:, None]
    else:
        reach = products + rough + share * size[:, None] * layout.radius + asked.pad[:, None]
    return asked._replace(cells=products + start[:, None], reach=reach)


def with_quarters(asked: Asked, spun: NDArray[np.float32], *, share: float) -> Asked:
    """Add the queries in four bits per rotated coordinate; ``share`` of an error may point along the query. O(q D)."""
    turned = spun.astype(np.float64)
    low = turned.min(axis=1)
    step = np.maximum((turned.max(axis=1) - low) / (2**PLANES - 1), 1e-300)
    levels = np.clip(np.rint((turned - low[:, None]) / step[:, None]), 0, 2**PLANES - 1).astype(np.uint8)
    planes = [np.packbits((levels >> b) & 1, axis=1, bitorder="little").view(np.uint64) for b in range(PLANES)]
    doubt = _norm(turned) * share
    return asked._replace(planes=np.stack(planes, axis=1), low=low, step=step, total=turned.sum(axis=1), doubt=doubt)


def turned(exact: FloatArray, norms: FloatArray, layout: Layout, metric: str) -> FloatArray:
    """Return the queries that are multiplied with screened rows."""
    return _screening(exact, norms, layout, metric)[0]


def _screening(exact: FloatArray, norms: FloatArray, layout: Layout, metric: str) -> tuple[FloatArray, FloatArray]:
    """Return the queries that are multiplied with screened rows, and what is added to every product."""
    if metric == "cosine":
        return exact / norms[:, None], np.zeros(len(exact))
    if metric == "euclidean":
        shifted = exact - layout.centre
        return 2 * shifted, -np.einsum("qd,qd->q", shifted, shifted)
    return exact, np.zeros(len(exact))


@lru_cache(maxsize=256)
def share_of(recall: float, d: int) -> float:
    """Return how much of an error vector may point along the query."""
    if recall >= 1 or d < 8:
        return 1.0
    return min(1.0, NormalDist().inv_cdf(1 - (1 - recall) / 4) / (d - 1) ** 0.5)


def _rounding(size: FloatArray, layout: Layout) -> FloatArray:
    """Bound what float64 arithmetic, and rounding the screened rows to float32, add to a score."""
    corners = np.maximum(np.abs(layout.minima), np.abs(layout.minima + 255 * layout.steps))
    reach = float(np.sqrt((corners**2).sum()))
    return 2 * float(np.finfo(np.float32).eps) * reach * (size + reach * float((layout.centre != 0).any()))


def _norm(X: FloatArray) -> FloatArray:
    return np.sqrt(np.einsum("nd,nd->n", X, X, dtype=np.float64))
