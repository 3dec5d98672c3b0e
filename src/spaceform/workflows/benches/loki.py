"""Predicting over a tree of labels: passes over the tree against the dense product, at 1,000 to 80,000 labels."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from spaceform.geometry import LabelMetric, MatrixMetric, TreeMetric
from spaceform.ops.frechet import frechet_mean, label_means
from spaceform.rng import as_generator
from spaceform.types import Progress, RandomState, no_progress

LABELS = (1_000, 10_000, 80_000)
OBSERVED = 100
NEIGHBOURS = 5
ROWS = 2_000
FULL_MATRIX_BYTES = 2**30
"""A full matrix of distances beyond this is not built: 80,000 labels would take 51 GB."""


def run(*, quick: bool = False, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Return a row per form and size, all for the same rows: 100 observed labels, votes of 5 neighbours.

    Forms: ``tree`` predicts by two passes over the subtree that the observed labels span; ``tree, all variances`` fills
    the whole decision function; ``dense`` is the product with the 100 x N table in blocks, ``dense with table`` counts
    making that table too; ``full matrix`` starts from N x N distances. ``limit_bytes`` is the least memory traffic
    per row of each form (see :func:`limit_bytes`), ``gb_per_s`` the rate at which it is served, to be held against
    ``copy_gb_per_s`` of this machine. ``agrees`` is the share of rows with the same variance as the tree's answer.
    """
    rng = as_generator(0)
    copy = copy_rate()
    rows = []
    sizes = LABELS[:1] if quick else LABELS
    for done, n in enumerate(sizes):
        progress("predicting over trees", done, len(sizes))
        rows += [row | {"copy_gb_per_s": copy} for row in _measure(taxonomy(n, random_state=rng), rng, quick=quick)]
    progress("predicting over trees", len(sizes), len(sizes))
    return rows


def taxonomy(n: int, *, random_state: RandomState = 0) -> TreeMetric:
    """Return a random tree of ``n`` labels about as deep as WordNet's nouns (mean depth 8 at 80,000)."""
    share = as_generator(random_state).beta(2.0, 1.2, size=n) / 2
    parent = np.floor(np.arange(n) * share).astype(np.int64)
    parent[0] = -1
    return TreeMetric(parent)


def limit_bytes(form: str, *, labels: int, observed: int, spanned: int) -> float:
    """Return the least bytes that one row has to move, 8 per number.

    Two passes read and write three numbers per node (weight, moment, variance) once each way: 48 bytes per node.
    A product reads each entry of its table once per block of rows, which vanishes over many rows, and writes and reads
    back N variances; its floor is arithmetic instead, ``2 K N`` operations, counted here as 8 bytes per 16 of them.
    """
    if form == "tree":
        return 48.0 * spanned
    if form == "tree, all variances":
        return 48.0 * labels + 8.0 * labels
    return 16.0 * labels + observed * labels


def copy_rate() -> float:
    """Return gigabytes per second read plus written when 64 MiB are copied: the best of five."""
    source = np.ones(2**23)
    target = np.empty_like(source)
    seconds = min(_seconds(lambda: np.copyto(target, source)) for _ in range(5))
    return 2 * source.nbytes / seconds / 1e9


def _measure(tree: TreeMetric, rng: np.random.Generator, *, quick: bool) -> list[dict[str, Any]]:
    n, count = len(tree), 200 if quick else ROWS
    observed = np.sort(rng.permutation(n)[:OBSERVED])
    weights = np.zeros((count, OBSERVED))
    for vote in rng.integers(0, OBSERVED, size=(NEIGHBOURS, count)):
        weights[np.arange(count), vote] += 1 / NEIGHBOURS
    table = tree.squared_distances(observed)
    few = weights[: max(20, count // 20)]
    full = _full_matrix(tree)
    forms: list[tuple[str, np.ndarray, Callable[[np.ndarray], Any] | None]] = [
        ("tree", weights, lambda W: label_means(W, tree, observed)),
        ("tree, all variances", few, lambda W: tree.variances(W, observed)),
        ("dense", few, lambda W: frechet_mean(W, table, return_variance=True)),
        ("dense with table", few, lambda W: frechet_mean(W, tree.squared_distances(observed), return_variance=True)),
        ("full matrix", few, None if full is None else lambda W: label_means(W, full, observed)),
    ]
    expected = label_means(few, tree, observed)[1]
    spanned = int(tree.spanned(observed).sum())
    rows: list[dict[str, Any]] = []
    for form, given, predict in forms:
        row: dict[str, Any] = {"form": form, "labels": n, "observed": OBSERVED, "rows": len(given)}
        if predict is None:
            rows.append(row | {"state": f"skipped: {8 * n * n / 1e9:.0f} GB"})
            continue
        found = predict(given)  # compiles and warms up
        variance = found[1][: len(few)] if isinstance(found, tuple) else found.min(axis=1)
        seconds = min(_seconds(partial(predict, given)) for _ in range(3)) / len(given)
        limit = limit_bytes(form, labels=n, observed=OBSERVED, spanned=spanned)
        rows.append(
            row
            | {
                "us_per_row": seconds * 1e6,
                "limit_bytes": limit,
                "gb_per_s": limit / seconds / 1e9,
                "agrees": float(np.isclose(variance, expected[: len(variance)], rtol=1e-6, atol=1e-9).mean()),
                "state": "measured",
            }
        )
    fastest = rows[0]["us_per_row"]
    return [row | {"times_tree": row["us_per_row"] / fastest} if "us_per_row" in row else row for row in rows]


def _full_matrix(tree: TreeMetric) -> LabelMetric | None:
    n = len(tree)
    return None if 8 * n * n > FULL_MATRIX_BYTES else MatrixMetric(tree.distances(np.arange(n)))


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
