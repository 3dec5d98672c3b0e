"""Few rows that stand for all: drawn, balanced over classes, far apart, or in the middle of clusters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_choice, check_integer, check_labels, check_matrix
from spaceform.clustering.kmeans import kmeans
from spaceform.errors import InputError
from spaceform.geometry.arrays import direction
from spaceform.geometry.flat import squared_distances
from spaceform.ops.selection import furthest_points
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, RandomState

SELECTIONS = ("uniform", "stratified", "fps", "kmeans")

Selection = Callable[[FloatArray, int, np.random.Generator], ArrayLike]
"""Chooses m distinct rows of ``X (n, d)``: ``selection(X, m, generator)`` returns their numbers."""


def select_anchors(
    X: ArrayLike,
    m: int,
    method: str | Selection = "uniform",
    *,
    y: ArrayLike | None = None,
    candidates: ArrayLike | None = None,
    random_state: RandomState = None,
) -> IntArray:
    """Return the numbers ``(m,)`` of distinct rows of ``X (n, d)`` to serve as anchors, in the order they were chosen.

    ``method``: "uniform"; "stratified" (one shuffled row of each class of ``y (n,)`` in turn, the paper's way for
    pictures; integer -1 is never taken); "fps" (each furthest from those before it, from a random start); "kmeans" (of
    m clusters, the row nearest to each centre that is not taken yet), both on unit vectors; or a function
    :data:`Selection`. ``candidates``: rows that may be chosen, such as the most frequent words (None: all).

    Anchors are chosen in ONE space and shared by row. Raises ``InputError`` when there are fewer rows than ``m``, for
    "stratified" without ``y`` or with fewer anchors than classes, and for a function that returns something else.
    O(n m d), for "kmeans" times its steps; never a square matrix.
    """
    rows = check_matrix(X)
    allowed = np.arange(len(rows)) if candidates is None else check_row_numbers(candidates, len(rows), "candidates")
    count = check_integer(m, "n_anchors", low=1)
    if count > len(allowed):
        got = f"{count} of {len(allowed)} sample(s)"
        raise InputError("n_anchors", got=got, expected=f"at most {len(allowed)}", remedy="ask for fewer, or give more")
    generator = as_generator(random_state)
    if callable(method):
        chosen = method(rows[allowed], count, generator)
    elif check_choice(method, "selection", SELECTIONS) == "uniform":
        chosen = generator.choice(len(allowed), count, replace=False)
    elif method == "stratified":
        chosen = _stratified(_classes(y, len(rows))[allowed], count, generator)
    elif method == "fps":
        start = int(generator.integers(len(allowed)))
        chosen = furthest_points(direction(rows[allowed]), k=count, start=start)[0]
    else:
        chosen = _medoids(direction(rows[allowed]), count, generator)
    picks = check_row_numbers(chosen, len(allowed), "selection")
    if len(picks) != count:
        raise InputError("selection", got=f"{len(picks)} rows", expected=f"{count}")
    return allowed[picks]


def check_row_numbers(values: ArrayLike, n: int, name: str) -> IntArray:
    """Return distinct row numbers below ``n`` in their order, or raise ``InputError``."""
    numbers = np.asarray(values)
    sound = numbers.ndim == 1 and len(numbers) > 0 and numbers.dtype.kind in "iu"
    if not sound or numbers.min() < 0 or numbers.max() >= n or len(np.unique(numbers)) < len(numbers):
        got = f"{numbers.dtype} of shape {numbers.shape}"
        raise InputError(name, got=got, expected=f"distinct row numbers from 0 to {n - 1}")
    return numbers.astype(np.int64)


def _classes(y: ArrayLike | None, n: int) -> np.ndarray:
    if y is None:
        raise InputError("y", got="None", expected="a label per row", remedy="needed by selection='stratified'")
    return check_labels(y, n)


def _stratified(labels: np.ndarray, m: int, generator: np.random.Generator) -> IntArray:
    order = generator.permutation(len(labels))
    order = order[labels[order] != -1] if labels.dtype.kind == "i" else order
    names, codes = np.unique(labels[order], return_inverse=True)
    if not len(names) <= m <= len(order):
        got = f"{m} for {len(names)} classes and {len(order)} labelled rows"
        raise InputError("n_anchors", got=got, expected="at least the one, at most the other")
    ranks = np.empty(len(order), dtype=np.int64)  # how many rows of its class come before a row
    for code in range(len(names)):
        own = np.flatnonzero(codes == code)
        ranks[own] = np.arange(len(own))
    return order[np.lexsort((codes, ranks))[:m]]


def _medoids(units: FloatArray, m: int, generator: np.random.Generator) -> IntArray:
    free = np.ones(len(units), dtype=bool)
    picks = np.empty(m, dtype=np.int64)
    for i, center in enumerate(kmeans(units, m, n_init=1, random_state=generator).centers):
        gaps = squared_distances(center[None], units)[0]
        picks[i] = int(np.where(free, gaps, np.inf).argmin())
        free[picks[i]] = False
    return picks
