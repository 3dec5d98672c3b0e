"""Triplets by three nested loops, from the definitions alone; for batches of a dozen rows."""

from __future__ import annotations

import torch


def distances(x: torch.Tensor, r: torch.Tensor, *, squared: bool = True) -> torch.Tensor:
    """Distances of unit vectors by subtraction, in float64."""
    x, r = (torch.nn.functional.normalize(part.double(), dim=1) for part in (x, r))
    squares = ((x[:, None] - r[None]) ** 2).sum(-1)
    return squares if squared else squares.sqrt()


def every_triplet(labels, reference_labels=None):
    """All (anchor, positive, negative); within one batch no row is its own positive."""
    within = reference_labels is None
    others = labels if within else reference_labels
    return [
        (a, p, n)
        for a in range(len(labels))
        for p in range(len(others))
        for n in range(len(others))
        if labels[a] == others[p] and labels[a] != others[n] and not (within and a == p)
    ]


def allowed(D, triplets, *, rule: str, margin: float):
    """Negatives that a rule allows each pair: ``{(anchor, positive): {negative, ...}}``; only pairs with one."""
    table: dict[tuple[int, int], set[int]] = {}
    for a, p, n in triplets:
        inside = D[a, n] < D[a, p] + margin
        if rule == "any" or (inside and (rule == "vgg" or D[a, n] > D[a, p])):
            table.setdefault((a, p), set()).add(n)
    return table


def hinge(D, triplets, *, margin: float):
    """The hinge of each triplet."""
    return [max(0.0, float(D[a, p] - D[a, n]) + margin) for a, p, n in triplets]
