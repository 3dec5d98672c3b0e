"""The closeness of anchors to mixed items, from the closeness of the items alone wherever the geometry allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from spaceform.geometry.arrays import safe_sqrt
from spaceform.losses.fused.fractional import PairSets
from spaceform.losses.fused.measures import fused_kind
from spaceform.losses.mixing.choice import Choice
from spaceform.losses.mixing.mixtures import mix_points, mixed_dots, mixed_squares
from spaceform.ops.pairs import squared_distances

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry

LARGEST = 2**22
"""Entries of a matrix of items by items that is formed; beyond it the pairs are computed one by one."""


def mixed_closeness(sets: PairSets, choice: Choice, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the closeness ``(A, V)`` of anchors to their mixed items, and a mask ``(A, V)`` of those that exist.

    ``shares`` (a scalar or ``(A, V)``) are those of the first part. Unit rows are mixed along the chord and brought
    back to unit length (Metrix, embedding mixup), rows of flat space along the straight line, both from products of
    rows alone; in other geometries along the geodesic, by coordinates, which costs O(A V d) memory.
    """
    shares = shares.to(sets.anchors)
    if not isinstance(sets.closeness, str) and fused_kind(sets.closeness) is None:
        return _along_geodesics(sets.closeness, sets, choice, shares), choice.mask
    kind = fused_kind(sets.closeness)
    # a sphere's points are of unit length whether or not the loss had to bring them there
    unit = sets.unit or (kind == "dot" and not isinstance(sets.closeness, str))
    if unit or kind == "dot":
        to_second = (sets.anchors @ sets.items.T).gather(1, choice.second)
        own = (sets.anchors * sets.anchors).sum(1, keepdim=True)
        between = _between(sets.items, choice, squares=False)
        to_first = own if choice.first is None else (sets.anchors @ sets.items.T).gather(1, choice.first)
        dots, directed = mixed_dots(to_first, to_second, to_second if between is None else between, shares, unit=unit)
        mask = choice.mask & directed
        if kind == "dot":
            return dots, mask
        squares = (2 - 2 * dots).clamp(min=0)
    else:
        matrix = squared_distances(sets.anchors, sets.items)
        to_second = matrix.gather(1, choice.second)
        between = _between(sets.items, choice, squares=True)
        to_first = torch.zeros_like(to_second) if choice.first is None else matrix.gather(1, choice.first)
        squares = mixed_squares(to_first, to_second, to_second if between is None else between, shares)
        mask = choice.mask
    return -squares if kind == "squared" else -safe_sqrt(squares), mask


def _between(items: torch.Tensor, choice: Choice, *, squares: bool) -> torch.Tensor | None:
    """Return products or squared distances of the two items of each mixture; None where the first is the anchor."""
    if choice.first is None:
        return None
    if len(items) ** 2 <= LARGEST:
        matrix = squared_distances(items, items) if squares else items @ items.T
        places = choice.first * len(items) + choice.second
        return matrix.reshape(-1).index_select(0, places.reshape(-1)).view(places.shape)
    one, two = items[choice.first], items[choice.second]
    return ((one - two) ** 2).sum(-1) if squares else (one * two).sum(-1)


def _along_geodesics(geometry: Geometry, sets: PairSets, choice: Choice, shares: torch.Tensor) -> torch.Tensor:
    anchors, second = sets.anchors[:, None], sets.items[choice.second]
    first = anchors.expand_as(second) if choice.first is None else sets.items[choice.first]
    points = mix_points(geometry, first, second, shares.expand(choice.mask.shape))
    return geometry.closeness(anchors, points)
