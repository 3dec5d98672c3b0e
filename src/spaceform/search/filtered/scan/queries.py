"""Queries as the kernels take them: exact, in 16 bits against 8-bit codes, in 2 bits against 1-bit codes."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan.layout import Base, Layout, norms_of
from spaceform.search.filtered.scan.turning import rotated
from spaceform.types import FloatArray

PLANES, STEP = 2, 0.9957
"""Bits per query coordinate against 1-bit codes, and the distance of levels that loses least of a normal coordinate, in
standard deviations (Max, 1960: 1.596, 0.9957, 0.586, 0.3352 for 1 to 4 bits). RaBitQ (section 3.3) takes four, so that
the error of the codes dominates. Two take half the time, and their error is known: bounds are wider by a sixth."""

ALONG = float(np.pi / (np.pi - 2))
"""What a query loses to its levels counts so many times more than the query in the squared error of an estimate:
of the ``pi / 2`` by which signs of normal coordinates enlarge a square, 1 is the residual, the rest error."""

_TOP = 2**31 - 1


class Asked(NamedTuple):
    """Queries, one row each. ``exact (q, d)`` float64 and ``norms``; the rest serves the screens.

    8 bits: the score of a row is ``offset + scale (weights . codes) + level``, off by at most ``slack error + pad``.
    Cells: ``reach`` is an upper bound of a score in each cell. 1 bit: ``base`` is the score of the mean of the rows
    without level, ``planes`` and ``low + step u`` the rotated query in `PLANES` bits, ``total`` the sum of its
    coordinates, ``doubt`` the factor of the error.
    """

    exact: FloatArray
    norms: FloatArray
    weights: NDArray[np.int16]
    scale: FloatArray
    offset: FloatArray
    slack: FloatArray
    pad: FloatArray
    reach: FloatArray
    base: FloatArray
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
    return encode(queries, layout, metric, share=share_of(recall, queries.shape[1]))


def encode(queries: NDArray[np.float32], layout: Layout, metric: str, *, share: float) -> Asked:
    """Encode queries; ``share`` of an error may point along the query."""
    exact, norms = queries.astype(np.float64), norms_of(queries)
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
        none, flat, np.empty((len(exact), PLANES, 0), np.uint64), flat, flat, flat, flat,
    )  # fmt: skip


def with_cells(asked: Asked, layout: Layout, metric: str, *, gamma: float | FloatArray) -> Asked:
    """Add the best score that each cell may hold.

    ``gamma`` in (0, 1] (one, or one per query) is the share of a cell's radius that is believed to point to the query;
    1 is a bound. Centroids are compared by their 8-bit codes. O(q n_cells d).
    """
    turned, _ = _screening(asked.exact, asked.norms, layout, metric)
    share, size, pad = np.broadcast_to(gamma, len(turned))[:, None], _norm(turned)[:, None], asked.pad[:, None]
    products = asked.weights.astype(np.float64) @ layout.cell_codes.T.astype(np.float64)  # integers: no rounding
    close = asked.offset[:, None] + asked.scale[:, None] * products
    close = close + (size * layout.cell_error.astype(np.float64) + pad)
    if metric == "euclidean":
        distance = np.sqrt(np.maximum(0.0, layout.lengths**2 - close))
        reach = -(np.maximum(0.0, distance - share * layout.radius) ** 2) * (1 - 1e-9) + pad
    else:
        reach = close + share * size * layout.radius + pad
    return asked._replace(reach=reach)


def with_planes(asked: Asked, layout: Layout, metric: str, *, share: float) -> Asked:
    """Add the queries in `PLANES` bits per rotated coordinate; ``share`` of an error may point along the query.

    Levels are stretched so that what they lose is orthogonal to the query: an error without direction, which adds to
    that of the codes.
    """
    plain, start = _screening(asked.exact, asked.norms, layout, metric)
    spun, top = rotated(plain, layout.signs).astype(np.float64), 2**PLANES - 1
    squares = np.einsum("qd,qd->q", spun, spun)
    step = np.maximum(STEP * np.sqrt(squares / spun.shape[1]), 1e-300)
    low = -top / 2 * step
    levels = np.clip(np.rint((spun - low[:, None]) / step[:, None]), 0, top)
    near = low[:, None] + step[:, None] * levels
    products, rounded = np.einsum("qd,qd->q", near, spun), np.einsum("qd,qd->q", near, near)
    stretch = np.divide(squares, products, out=np.ones(len(spun)), where=products > 0)
    lost = np.maximum(0.0, stretch * stretch * rounded - squares)
    whole = levels.astype(np.uint8)
    planes = [np.packbits((whole >> b) & 1, axis=1, bitorder="little").view(np.uint64) for b in range(PLANES)]
    return asked._replace(
        base=start + plain @ layout.middle, planes=np.stack(planes, axis=1), low=stretch * low, step=stretch * step,
        total=stretch * near.sum(axis=1), doubt=np.sqrt(squares + ALONG * lost) * share,
    )  # fmt: skip


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


def bounds_of_products(
    asked: Asked, places: NDArray[np.integer], *, base: Base, layout: Layout, metric: str
) -> FloatArray:
    """Return upper bounds ``(m,)`` of the scores of one query from its products with rows in float32; O(m d)."""
    turned, start = _screening(asked.exact, asked.norms, layout, metric)
    norms = base.norms[places]
    lost = (turned.shape[1] + 16) * float(np.finfo(np.float32).eps) * _norm(turned)[0]
    sure = (base.rows[places] @ turned[0].astype(np.float32)).astype(np.float64) + lost * norms
    if metric == "cosine":
        sure /= norms
    return (start[0] - float(turned[0] @ layout.centre) + sure) + (layout.level[places] + asked.pad[0])


def _corner(layout: Layout) -> float:
    """Return a bound of the norms of screened rows."""
    corners = np.maximum(np.abs(layout.minima), np.abs(layout.minima + 255 * layout.steps))
    return float(np.sqrt((corners**2).sum()))


def _rounding(size: FloatArray, layout: Layout) -> FloatArray:
    """Bound what float64 arithmetic, and rounding the screened rows to float32, add to a score."""
    reach = _corner(layout)
    return 2 * float(np.finfo(np.float32).eps) * reach * (size + reach * float((layout.centre != 0).any()))


def _norm(X: FloatArray) -> FloatArray:
    return np.sqrt(np.einsum("nd,nd->n", X, X, dtype=np.float64))
