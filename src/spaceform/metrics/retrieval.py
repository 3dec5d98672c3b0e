"""Retrieval: does a row find the others of its class? Exact and blockwise, without a square matrix of all rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_choice, check_integer, check_labels, check_matrix
from spaceform.errors import InputError
from spaceform.ops.neighbors import METRICS, nearest_neighbors
from spaceform.ops.pairs import BLOCK_BYTES, l2_normalize
from spaceform.types import BoolArray, FloatArray, IntArray

LIST_BYTES, ENTRY_BYTES = BLOCK_BYTES, 48
"""Room for the lists of neighbours of a block of queries; an entry is an index, a distance, a label and the counts."""


@dataclass(frozen=True)
class Retrieval:
    """Scores in [0, 1], larger is better, over ``n_queries`` rows that have another row of their class to find.

    ``recall_at[k]``: share of queries with a row of their class among the k nearest (as in metric learning since
    Jegou et al.; it is not the share of relevant rows found). ``r_precision``: with R the number of relevant rows,
    the share of relevant ones among the R nearest. ``map_at_r``: mean average precision over those R, which also
    rewards their order (Musgrave et al. 2020, "A Metric Learning Reality Check", section 3.2).
    """

    recall_at: dict[int, float]
    r_precision: float
    map_at_r: float
    n_queries: int


def retrieval(
    X: ArrayLike,
    y: ArrayLike,
    *,
    ks: Sequence[int] = (1, 5, 10),
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    metric: str = "euclidean",
) -> Retrieval:
    """Return all retrieval scores of rows ``X (n, d)`` with labels ``y (n,)`` from one pass over the neighbours.

    Every row is a query against all others, or against ``gallery (m, d)`` with ``gallery_labels (m,)``. ``ks`` are at
    most the number of rows that can be found. ``metric`` is ``euclidean`` or ``cosine``; ties go to the lowest row.
    Rows labelled -1 are found but never asked for; queries without a relevant row do not count.

    Raises ``InputError`` for arrays that do not fit, NaN, a ``k`` out of range, or when no query has a relevant row.
    O(n m d + n m) time; memory for one block of distances and the widest list of R neighbours of a block.
    """
    check_choice(metric, "metric", METRICS)
    rows, labels, base, base_labels = _checked(X, y, gallery, gallery_labels, metric)
    within = gallery is None
    wanted = [check_integer(k, "ks", low=1, high=len(base) - within) for k in ks]
    relevant = _relevant(labels, base_labels) - within
    queries = np.flatnonzero((relevant > 0) & (labels != -1 if labels.dtype.kind == "i" else True))
    if not len(queries):
        raise InputError("y", got="no class with two rows", expected="a class whose rows can find each other")
    # queries in order of R, so that a block needs lists only as long as its own classes
    queries = queries[np.argsort(relevant[queries], kind="stable")]
    found = dict.fromkeys(wanted, 0)
    precision = average = 0.0
    for block in _blocks(queries, relevant, max(wanted, default=1)):
        longest = int(relevant[block].max())
        hits = _hits(rows, base, labels, base_labels, block, max([longest, *wanted]), within=within)
        for k in wanted:
            found[k] += int(hits[:, :k].any(1).sum())
        ranks = np.arange(1, longest + 1)
        inside = hits[:, :longest] & (ranks <= relevant[block][:, None])
        precision += float((inside.sum(1) / relevant[block]).sum())
        average += float(((inside * (inside.cumsum(1) / ranks)).sum(1) / relevant[block]).sum())
    n = len(queries)
    return Retrieval({k: found[k] / n for k in wanted}, precision / n, average / n, n)


def recall_at_k(
    X: ArrayLike,
    y: ArrayLike,
    ks: Sequence[int] = (1, 5, 10),
    *,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    metric: str = "euclidean",
) -> dict[int, float]:
    """Return the share of rows with a row of their class among the k nearest, per k; see :func:`retrieval`."""
    found = retrieval(X, y, ks=ks, gallery=gallery, gallery_labels=gallery_labels, metric=metric)
    return found.recall_at


def map_at_r(
    X: ArrayLike,
    y: ArrayLike,
    *,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    metric: str = "euclidean",
) -> float:
    """Return the mean average precision at R; see :func:`retrieval`."""
    return retrieval(X, y, ks=(1,), gallery=gallery, gallery_labels=gallery_labels, metric=metric).map_at_r


def r_precision(
    X: ArrayLike,
    y: ArrayLike,
    *,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    metric: str = "euclidean",
) -> float:
    """Return the mean share of relevant rows among the R nearest; see :func:`retrieval`."""
    return retrieval(X, y, ks=(1,), gallery=gallery, gallery_labels=gallery_labels, metric=metric).r_precision


def _checked(
    X: ArrayLike, y: ArrayLike, gallery: ArrayLike | None, gallery_labels: ArrayLike | None, metric: str
) -> tuple[FloatArray, np.ndarray, FloatArray, np.ndarray]:
    rows = check_matrix(X, "X", min_rows=2 if gallery is None else 1)
    labels = check_labels(y, len(rows))
    if (gallery is None) != (gallery_labels is None):
        raise InputError("gallery_labels", got="one of gallery and its labels", expected="both or none")
    if metric == "cosine":
        rows = l2_normalize(rows)
    if gallery is None or gallery_labels is None:
        return rows, labels, rows, labels
    base = check_matrix(gallery, "gallery", width=rows.shape[1], dtype=rows.dtype.type)
    base = l2_normalize(base, name="gallery") if metric == "cosine" else base
    return rows, labels, base, check_labels(gallery_labels, len(base), "gallery_labels")


def _relevant(labels: np.ndarray, base_labels: np.ndarray) -> IntArray:
    """Return for each query how many rows of the base share its label."""
    names, counts = np.unique(base_labels, return_counts=True)
    at = np.searchsorted(names, labels).clip(max=len(names) - 1)
    return np.where(names[at] == labels, counts[at], 0).astype(np.int64)


def _blocks(queries: IntArray, relevant: IntArray, k: int) -> Iterator[IntArray]:
    """Yield queries, sorted by R, in blocks whose lists of neighbours (at least ``k`` long) stay within the budget.

    The blocks of distances are the search's own affair: with a million rows few rows fit into one of those, but
    every call of the search passes once over the base, so it is asked for many queries at a time.
    """
    start = 0
    while start < len(queries):
        longest = np.maximum(relevant[queries[start:]], k)  # rising, so is the room for the first rows together
        room = longest * np.arange(1, len(longest) + 1) * ENTRY_BYTES
        size = max(1, int(np.searchsorted(room, LIST_BYTES, side="right")))
        yield queries[start : start + size]
        start += size


def _hits(
    rows: FloatArray,
    base: FloatArray,
    labels: np.ndarray,
    base_labels: np.ndarray,
    block: IntArray,
    k: int,
    *,
    within: bool,
) -> BoolArray:
    """Return whether each of the ``k`` nearest shares the query's label, nearest first; the query itself left out."""
    _, indices = nearest_neighbors(rows[block], base, k=min(k + within, len(base)))
    if within:
        own = indices == block[:, None]
        own[~own.any(1), -1] = True  # many equal rows: the query itself was not among the first
        indices = indices[~own].reshape(len(block), -1)
    return base_labels[indices] == labels[block][:, None]
