"""What the figures of a comparison would be if one thing were not so: rows unpaired, paired by class, or only noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spaceform.heads.alignment import fit_linear_map, fit_rigid_map
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.rng import as_generator, derive_seed
from spaceform.types import BoolArray, IntArray
from spaceform.workflows.comparing.measures import Ground, held_out, overlap, share

SHUFFLES = 20
"""Random pairings: what beats all of them would come about by chance at most once in 21 times."""

CLASS_SHUFFLES = 5
NOISES = 3


@dataclass(frozen=True, kw_only=True)
class Control:
    """Figures under one control, over ``runs``: means, and the highest and lowest that occurred.

    ``share_low`` is NaN where the share of a linear map was not measured.
    """

    runs: int
    rigid: float
    rigid_high: float
    neighbours: float
    neighbours_high: float
    share_low: float = float("nan")


def shuffled(ground: Ground, kept: BoolArray, *, seed: int) -> Control:
    """Return the figures with the rows of A in random order: what two spaces of other items would have."""
    rng = as_generator(derive_seed(seed, "shuffled"))
    rows = np.flatnonzero(kept)
    return _permuted(ground, kept, [_within([rows], len(kept), rng) for _ in range(SHUFFLES)])


def shuffled_within(ground: Ground, kept: BoolArray, labels: np.ndarray, *, seed: int) -> Control:
    """Return the figures with the rows of A in random order within each class: what knowing classes alone gives."""
    rng = as_generator(derive_seed(seed, "classes"))
    names = np.array([str(name) for name in labels])
    groups = [np.flatnonzero(kept & (names == name)) for name in np.unique(names)]
    return _permuted(ground, kept, [_within(groups, len(kept), rng) for _ in range(CLASS_SHUFFLES)])


def only_noise(ground: Ground, kept: BoolArray, *, seed: int) -> Control:
    """Return the figures of A against its own rigid image, with the errors of the real fit given to other rows.

    It is what "the same up to an isometry and noise" would look like: of the same size, but telling nothing.
    """
    rng = as_generator(derive_seed(seed, "noise"))
    A, B = ground.slim_a, ground.slim_b
    image = fit_rigid_map(A[kept], B[kept])(A)
    errors = B - image
    rows = np.flatnonzero(kept)
    rigid, shares, neighbours = [], [], []
    for _ in range(NOISES):
        order = _within([rows], len(kept), rng)
        made = image + errors[order]
        explained = []
        found = []
        for first, second in ((A, made), (made, A)):
            own = held_out(first, second, ground.halves[:2], fit_rigid_map, kept=kept).explained
            explained.append(own.mean())
            found.append(share(own, held_out(first, second, ground.halves[:2], fit_linear_map, kept=kept).explained))
        rigid.append(min(explained))
        shares.append(np.minimum(*found).min())
        near = nearest_neighbors(made.astype(np.float32), k=ground.near_a.shape[1])[1]
        neighbours.append(overlap(_slim_neighbours(ground), near)[kept].mean())
    return replace(_control(rigid, neighbours), share_low=float(np.min(shares)))


def _slim_neighbours(ground: Ground) -> IntArray:
    if ground.slim_a.shape[1] == ground.A.shape[1]:
        return ground.near_a
    return nearest_neighbors(ground.slim_a.astype(np.float32), k=ground.near_a.shape[1])[1]


def _permuted(ground: Ground, kept: BoolArray, orders: list[IntArray]) -> Control:
    rigid, neighbours = [], []
    for order in orders:
        A = ground.slim_a[order]
        figures = [
            held_out(first, second, ground.halves[:1], fit_rigid_map, kept=kept).explained.mean()
            for first, second in ((A, ground.slim_b), (ground.slim_b, A))
        ]
        rigid.append(min(figures))
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        neighbours.append(overlap(place[ground.near_a[order]], ground.near_b)[kept].mean())
    return _control(rigid, neighbours)


def _control(rigid: list[float], neighbours: list[float]) -> Control:
    return Control(
        runs=len(rigid),
        rigid=float(np.mean(rigid)),
        rigid_high=float(np.max(rigid)),
        neighbours=float(np.mean(neighbours)),
        neighbours_high=float(np.max(neighbours)),
    )


def _within(groups: list[IntArray], n: int, rng: np.random.Generator) -> IntArray:
    """Return an order of n rows that permutes each group and leaves the others."""
    order = np.arange(n)
    for rows in groups:
        order[rows] = rng.permutation(rows)
    return order
