"""Vectors as the kernels see them: float32 rows, 8-bit codes and 1-bit codes in the order of cells.

Closeness is screened in a space that depends on the metric: unit vectors for ``cosine``, differences from the mean
for ``euclidean``, the rows themselves for ``ip``. There a score is ``base + level[row] + q . x`` with ``q`` the query
(twice the query for ``euclidean``, whose score is minus the squared distance), and an error of a code is bounded by
``|q|`` times its distance from what it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan.cells import farthest, k_means
from spaceform.search.filtered.scan.codes import byte_frame, encode_bits, encode_bytes
from spaceform.search.filtered.scan.turning import random_signs
from spaceform.types import FloatArray, IntArray

METRICS = ("cosine", "euclidean", "ip")
"""What may be near; the kernels know a metric by its position here."""

MAX_ROTATED = 2_048
"""Widest vectors with 1-bit codes: rows are rotated by a dense matrix, O(d^2) each."""

_BLOCK_BYTES = 2**20
"""Bytes of rows in float64 that are held at once."""

LANES = 32
"""Running sums of an exact score: they hide how long an addition takes, and what a wide register holds is a part."""

_BASE_KINDS = np.float32, np.float64, np.int64
_LAYOUT_KINDS = (
    np.int32, np.float64, np.uint8, np.float32, np.uint64, np.int64, np.float32, *(7 * [np.float64]), np.float32,
    np.uint8, np.float32,
)  # fmt: skip
"""What compiled code takes the arrays of rows and of a layout for (`addresses`)."""


class Memory(NamedTuple):
    """Where arrays lie: the ``address`` of a ``table`` that has address, rows and columns of each of ``arrays``."""

    address: int
    table: IntArray
    arrays: tuple[np.ndarray, ...]


class HasMemory(Protocol):
    """Arrays that kernels are told by one address."""

    @property
    def memory(self) -> Memory:
        """Where the arrays lie."""


def memory_of(arrays: Iterable[np.ndarray], kinds: Sequence[Any]) -> Memory:
    """Return where arrays of some kinds lie, without gaps between rows; whoever reads there must hold the answer."""
    held = tuple(np.ascontiguousarray(array, kind) for array, kind in zip(arrays, kinds, strict=True))
    table = np.array([(one.ctypes.data, *one.shape, 1)[:3] for one in held], np.int64)
    return Memory(table.ctypes.data, table, held)


class _Base(NamedTuple):
    rows: NDArray[np.float32]
    norms: FloatArray
    ids: IntArray


class Base(_Base):
    """Rows in storage order: ``rows (n, d)`` float32, their ``norms (n,)`` float64, and their ``ids (n,)`` int64."""

    @cached_property
    def memory(self) -> Memory:
        """Where the arrays lie."""
        return memory_of(self, _BASE_KINDS)


class _Layout(NamedTuple):
    where: NDArray[np.int32]
    level: FloatArray
    codes: NDArray[np.uint8]
    error: NDArray[np.float32]
    lines: NDArray[np.uint64]
    starts: IntArray
    centroids: NDArray[np.float32]
    lengths: FloatArray
    radius: FloatArray
    minima: FloatArray
    steps: FloatArray
    centre: FloatArray
    middle: FloatArray
    spread: FloatArray
    signs: NDArray[np.float32]
    cell_codes: NDArray[np.uint8]
    cell_error: NDArray[np.float32]


class Layout(_Layout):
    """Codes of some rows, cell by cell: cell c holds entries ``starts[c]`` to ``starts[c + 1]``.

    ``where`` maps entries to positions in the base (empty where they are the same). 8 bits: ``codes (n, d)``,
    ``x ~ minima + steps codes`` within ``error``; ``spread`` is the largest norm of ``codes - 128``, cells too.
    1 bit: ``lines``, the records of `encode_bits` of ``x - middle`` rotated by ``signs``; ``middle`` is the mean of the
    rows: to estimate from centroids errs a fifth less, and multiplies a query with all of them. Cells: ``centroids``,
    the same as ``cell_codes`` of 8 bits like rows, within ``cell_error``, their ``lengths``, and ``radius``, the
    largest distance of a row from its centroid.
    """

    @property
    def n_cells(self) -> int:
        """The number of cells."""
        return len(self.starts) - 1

    @cached_property
    def memory(self) -> Memory:
        """Where the arrays lie."""
        return memory_of(self, _LAYOUT_KINDS)


def norms_of(rows: NDArray[np.float32]) -> FloatArray:
    """Return the norms of rows as the kernels compute them: in float64, summed in `LANES` lanes."""
    norms, height = np.empty(len(rows)), max(1, _BLOCK_BYTES // (8 * rows.shape[1]))
    for start in range(0, len(rows), height):
        block = rows[start : start + height].astype(np.float64)
        norms[start : start + height] = np.sqrt(lane_sum(block * block))
    return norms


def lane_sum(products: FloatArray) -> FloatArray:
    """Sum ``(n, d)`` over the columns in the order of the kernels: `LANES` running sums, then these by halves."""
    n, d = products.shape
    padded = np.zeros((n, -(-d // LANES) * LANES))
    padded[:, :d] = products
    lanes = np.zeros((n, LANES))
    for start in range(0, d, LANES):
        lanes += padded[:, start : start + LANES]
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


def lay_out(
    base: Base, metric: str, *, n_cells: int | None, generator: np.random.Generator, where: IntArray | None = None
) -> tuple[IntArray, Layout]:
    """Sort rows into cells and encode them; return the order of the rows and the layout in that order.

    With ``where`` only these positions of the base are laid out, and the layout points back to them. ``n_cells`` of
    None is ``4 sqrt(n)``, at least 16 rows per cell. O(n d n_cells) in BLAS products.
    """
    chosen = np.arange(len(base.ids)) if where is None else where
    rows, norms = (base.rows, base.norms) if where is None else (base.rows[where], base.norms[where])
    centre = rows.mean(axis=0, dtype=np.float64) if metric == "euclidean" else np.zeros(rows.shape[1])
    view = screened(rows, norms, metric=metric, centre=centre)
    count = n_cells or max(1, min(int(4 * np.sqrt(len(rows))), len(rows) // 16))
    centroids, cell = k_means(view, min(count, len(rows)), generator)
    order = np.lexsort((base.ids[chosen], cell))
    view, cell = view[order], cell[order]
    minima, steps = byte_frame(view)
    signs = random_signs(view.shape[1] if view.shape[1] <= MAX_ROTATED else 0, generator)
    starts = np.searchsorted(cell, np.arange(len(centroids) + 1))
    radius = farthest(view, starts, centroids)
    layout = _coded(view, (minima, steps, centre), metric, cells=(starts, centroids, radius), signs=signs)
    pointers = np.empty(0, np.int32) if where is None else chosen[order].astype(np.int32)
    return order, frozen(layout._replace(where=pointers))


def lay_out_tail(base: Base, metric: str, like: Layout) -> Layout:
    """Encode rows in the frame of another layout, as one cell without 1-bit codes; O(n d)."""
    view = screened(base.rows, base.norms, metric=metric, centre=like.centre)
    flat = np.zeros((1, view.shape[1]), np.float32)
    cells = np.array([0, len(view)]), flat, np.array([np.inf])
    frame = (like.minima, like.steps, like.centre)
    return frozen(_coded(view, frame, metric, cells=cells, signs=np.empty((0, 0), np.float32)))


def screened(rows: FloatArray, norms: FloatArray, *, metric: str, centre: FloatArray) -> NDArray[np.float32]:
    """Return rows in the space in which closeness is screened, rounded to float32."""
    if metric == "ip":
        return np.ascontiguousarray(rows, np.float32)
    view, height = np.empty(rows.shape, np.float32), max(1, _BLOCK_BYTES // (8 * rows.shape[1]))
    for start in range(0, len(rows), height):
        part = slice(start, start + height)
        view[part] = rows[part] / norms[part, None] if metric == "cosine" else rows[part] - centre
    return view


def frozen(arrays: Any) -> Any:
    """Mark all arrays of a named tuple as read-only, as mapped files are, so that kernels are compiled once."""
    for array in arrays:
        array.setflags(write=False)
    return arrays


def _level(view: NDArray[np.float32], metric: str) -> FloatArray:
    if metric != "euclidean":
        return np.zeros(len(view))
    return -np.einsum("nd,nd->n", view, view, dtype=np.float64)


def _coded(
    view: NDArray[np.float32],
    frame: tuple[FloatArray, FloatArray, FloatArray],
    metric: str,
    *,
    cells: tuple[IntArray, NDArray[np.float32], FloatArray],
    signs: NDArray[np.float32],
) -> Layout:
    minima, steps, centre = frame
    starts, centroids, radius = cells
    level = _level(view, metric)
    lengths = np.sqrt((centroids.astype(np.float64) ** 2).sum(axis=1))
    codes, error, spread = encode_bytes(view, minima, steps)
    cell_codes, cell_error, widest = encode_bytes(centroids, minima, steps)
    middle = view.mean(axis=0, dtype=np.float64)
    by_signs = slice(None) if signs.size else slice(0)
    lines = encode_bits(view[by_signs], middle, level[by_signs], signs)
    return Layout(
        np.empty(0, np.int32), level, codes, error, lines, starts.astype(np.int64), centroids, lengths, radius,
        minima, steps, centre, middle, np.array([max(spread, widest)]), signs, cell_codes, cell_error,
    )  # fmt: skip
