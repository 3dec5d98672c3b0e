"""Mixing two things by a share: draws of the share, mixed inputs, and how close a mixed point is without making it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from scipy.special import betaincinv

from spaceform.checks import check_real

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry

SHORTEST = 1e-3
"""Mixtures of unit vectors shorter than this have no direction: two opposite ones at equal shares balance out."""


def sample_beta(alpha: float, size: tuple[int, ...], generator: torch.Generator | None = None) -> torch.Tensor:
    """Return draws of ``Beta(alpha, alpha)`` of shape ``size``, float64, by the inverse of its distribution.

    ``generator`` is one of the processor (None: the global one). Raises ``InputError`` for ``alpha <= 0``. O(size).
    """
    alpha = check_real(alpha, "alpha", low=0, open_ends=True)
    uniform = torch.rand(size, generator=generator, dtype=torch.float64)
    return torch.as_tensor(betaincinv(alpha, alpha, uniform.numpy()), dtype=torch.float64)


def mix_features(
    features: torch.Tensor, first: torch.Tensor, second: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Return ``shares * features[first] + (1 - shares) * features[second]`` of shape ``(n, ...)``.

    ``features (B, ...)`` are inputs, maps inside a network, or vectors; ``first``, ``second (n,)`` row numbers;
    ``shares`` a scalar or ``(n,)``. O(n x size of a row).
    """
    shares = shares.to(features).reshape(-1, *(1,) * (features.ndim - 1))
    return shares * features[first] + (1 - shares) * features[second]


def mixed_dots(
    to_first: torch.Tensor, to_second: torch.Tensor, between: torch.Tensor, shares: torch.Tensor, *, unit: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the dot products of anchors with mixed items, and which of these have a direction.

    ``to_first``, ``to_second`` are dot products of the anchor with the two items, ``between`` that of the items,
    ``shares`` of the first; all of one shape. With ``unit`` rows the mixture ``m = share p + (1 - share) n`` is brought
    back to unit length: ``(share g_ap + (1 - share) g_an) / |m|`` with ``|m|^2 = share^2 + (1 - share)^2 +
    2 share (1 - share) g_pn``. No coordinates are needed: O(1) for each.
    """
    rest = 1 - shares
    dots = shares * to_first + rest * to_second
    if not unit:
        return dots, torch.ones_like(dots, dtype=torch.bool)
    squares = shares * shares + rest * rest + 2 * shares * rest * between
    directed = squares > SHORTEST**2
    return dots / torch.where(directed, squares, 1).sqrt(), directed


def mixed_squares(
    to_first: torch.Tensor, to_second: torch.Tensor, between: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Return squared Euclidean distances of anchors to ``share p + (1 - share) n`` from those to p, to n and between.

    ``share d_ap^2 + (1 - share) d_an^2 - share (1 - share) d_pn^2`` (Stewart's theorem), at least 0. O(1) for each.
    """
    rest = 1 - shares
    return (shares * to_first + rest * to_second - shares * rest * between).clamp(min=0)


def mix_points(geometry: Geometry, first: torch.Tensor, second: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Return the points that divide the geodesics from ``first`` to ``second (..., d)``: ``first`` at share 1.

    ``exp_p((1 - share) log_p(n))``: the straight line in flat space, the arc on the sphere. ``shares (...)``.
    """
    return geometry.project(geometry.exp(first, (1 - shares)[..., None] * geometry.log(first, second)))
