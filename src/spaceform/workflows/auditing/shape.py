"""The parts of an audit that need no label: clusters, hubs, dimension, anisotropy, near-duplicates."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spaceform.errors import InputError
from spaceform.methods.diagnostics.class_separability import ClassSeparability
from spaceform.metrics.neighborhood import (
    Anisotropy,
    Hubness,
    anisotropy,
    hubness,
    levina_bickel_dimension,
    near_duplicates,
    two_nn_dimension,
)
from spaceform.metrics.persistence import column_shuffled
from spaceform.ops.pairs import l2_normalize
from spaceform.rng import derive_seed
from spaceform.types import FloatArray
from spaceform.workflows.auditing.ground import Ground, search

SUBSAMPLE = 500
HUB_LIST = 10
GUARD = 5
"""Components smaller than this can't set the scale of the guarded score."""

SHOWN_PAIRS = 50


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Separability without labels (``1 - S``, larger is more clustered), comparable only at equal ``sample_size``.

    ``std`` is its spread over ``n_repeats`` subsamples, ``shuffled`` the value for a column-shuffled copy, which has
    no clusters, ``guarded`` the value when outliers can't set the scale, ``n_components`` a guess at their number.
    """

    separability: float
    std: float
    sample_size: int
    n_repeats: int
    shuffled: float
    shuffled_std: float
    guarded: float
    n_components: int


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """Intrinsic dimension by two estimators: two nearest neighbours, and maximum likelihood over more of them."""

    two_nn: float
    levina_bickel: float


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two rows: their numbers, ids and distance, and whether each is among the other's neighbours (None: unknown)."""

    rows: tuple[int, int]
    ids: tuple[str, str]
    distance: float
    mutual: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """``copies``: rows of the whole Space that equal an earlier row; ``near``: rows closer than a tenth of ``scale``
    to another, among those looked at; ``pairs``: the closest of them, at most fifty. ``scale`` is the median
    distance to the twentieth neighbour.
    """

    copies: int
    near: int
    scale: float
    pairs: list[Pair] = field(default_factory=list)


def find_clusters(ground: Ground) -> Clusters:
    """Score subsamples of the rows that have a direction."""
    rows = l2_normalize(ground.X[ground.directed()].astype(np.float64))
    size = min(SUBSAMPLE, int(0.8 * len(rows)))
    if size < 2 * GUARD:
        raise InputError("rows", got=f"{len(rows)} rows with a direction", expected="13 or more")
    seed = derive_seed(ground.seed, "audit", "clusters") % 2**31
    model = ClassSeparability(n_subsample=size, random_state=seed).fit(rows)
    found, shuffled = model.result_, model.evaluate(_with_directions(column_shuffled(rows, seed)))
    guarded = ClassSeparability(n_subsample=size, random_state=seed, min_component_size=GUARD).fit(rows)
    return Clusters(
        separability=found.separability,
        std=found.std or 0.0,
        sample_size=size,
        n_repeats=found.n_repeats,
        shuffled=shuffled.separability,
        shuffled_std=shuffled.std or 0.0,
        guarded=guarded.result_.separability,
        n_components=model.n_components_,
    )


def find_hubs(ground: Ground) -> Hubness:
    """Count who is among whose ten nearest neighbours, within the queries: a sample against all would be thinned."""
    k = min(HUB_LIST, len(ground.queries) - 1)
    lists = ground.neighbors
    if len(ground.queries) < len(ground.pool):
        lists, _ = search(ground.X, ground.queries, ground.queries, k=k)
    found = hubness(np.searchsorted(ground.queries, lists[:, :k]))
    rows = tuple(int(row) for row in ground.queries[list(found.hubs)])
    return Hubness(**{**found.to_dict(), "hubs": rows})  # type: ignore[arg-type]


def find_dimension(ground: Ground) -> Dimension:
    """Estimate the intrinsic dimension from the queries' neighbours."""
    return Dimension(two_nn=two_nn_dimension(ground.distances), levina_bickel=levina_bickel_dimension(ground.distances))


def find_anisotropy(ground: Ground) -> Anisotropy:
    """Look at the spectrum and mean cosine of the queries that have a direction."""
    return anisotropy(ground.X[ground.directed()])


def find_duplicates(ground: Ground) -> Duplicates:
    """Find copies in the whole Space, and near-duplicates of the queries."""
    heads, tails, distances, scale = near_duplicates(ground.neighbors, ground.distances, rows=ground.queries)
    pairs = [
        pair_of(ground, (int(i), int(j)), float(distance))
        for i, j, distance in zip(heads[:SHOWN_PAIRS], tails[:SHOWN_PAIRS], distances[:SHOWN_PAIRS], strict=True)
    ]
    near = len(np.unique(np.concatenate([heads, tails])))
    return Duplicates(copies=_count_copies(ground.X), near=near, scale=scale, pairs=pairs)


def pair_of(ground: Ground, rows: tuple[int, int], distance: float, *, mutual: bool | None = None) -> Pair:
    """Return a pair with its ids."""
    i, j = rows
    return Pair(rows=rows, ids=(str(ground.ids[i]), str(ground.ids[j])), distance=distance, mutual=mutual)


def _with_directions(rows: FloatArray) -> FloatArray:
    kept: FloatArray = rows[np.einsum("nd,nd->n", rows, rows) > 0]
    return kept


def _count_copies(X: FloatArray) -> int:
    digests: set[Any] = {hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest() for row in X}
    return len(X) - len(digests)
