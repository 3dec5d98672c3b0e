"""From features into a Poincare ball, and a linear layer between balls: HypCD (Liu, He and Han, CVPR 2025)."""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.geometry import poincare
from spaceform.geometry.ball import PoincareBall

MARGIN = 1e-3
"""Share of the radius that points keep from the boundary (the released code)."""


@final
class ToPoincare(nn.Module):
    """Feature clipping and the exponential map at the origin: ``project(exp0(min(1, r / |z|) z))`` (section 3.3).

    Rows must not be of unit length: their norm becomes the depth in the tree. Clipping comes first, so that the
    gradient of a long row is that of its direction, instead of vanishing at the boundary.

    Parameters: ``curvature`` c > 0, or None for flat space, where only the clipping is left; ``clip_radius`` r > 0
    (None: no clipping). Raises ``InputError`` for others, and for rows ``(..., d)`` that are not finite floats in
    ``forward``. O(B d).

    >>> points = ToPoincare(curvature=0.1, clip_radius=2.0)(torch.tensor([[30.0, 40.0], [0.3, 0.4]]))
    >>> [round(norm, 3) for norm in points.norm(dim=1).tolist()]
    [1.77, 0.496]
    """

    def __init__(self, *, curvature: float | None = 0.1, clip_radius: float | None = 2.0) -> None:
        super().__init__()
        self.curvature = None if curvature is None else PoincareBall(curvature).curvature
        self.clip_radius = None
        if clip_radius is not None:
            self.clip_radius = check_real(clip_radius, "clip_radius", low=0, open_ends=True)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return points ``(..., d)`` of the ball."""
        _check_finite(z)
        with torch.autocast(z.device.type, enabled=False):  # half precision has no digits left near the boundary
            rows = z if z.dtype == torch.float64 else z.float()
            clipped = rows if self.clip_radius is None else poincare.clip_norm(rows, self.clip_radius)
            if self.curvature is None:
                return clipped
            return poincare.project(poincare.exp0(clipped, self.curvature), self.curvature, MARGIN)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"curvature={self.curvature}, clip_radius={self.clip_radius}"


@final
class HypLinear(nn.Module):
    """Linear layer between balls: ``project((W (x) h) (+) exp0(b))`` (Ganea, Becigneul and Hofmann, 2018, section 3).

    ``W (x) h = exp0(W log0(h))``. With ``W = I`` and ``b = 0`` it is the identity, for c to 0 it is ``W h + b``. As a
    classifier its coordinates are the logits; they lie below ``1 / sqrt c``. ``W`` and ``b`` are ordinary tensors, so
    any optimiser will do.

    Parameters: ``in_features``, ``out_features``; ``curvature`` c > 0; ``bias``; ``bias_curvature``: the curvature by
    which the bias is added, None for c. The released code of HypCD always adds it with 1, whatever c is.

    Raises ``InputError`` for settings out of range, and in ``forward`` for rows that are no points of the ball.
    O(B in_features out_features).

    >>> layer = HypLinear(2, 3, curvature=0.1)
    >>> layer(torch.tensor([[0.5, 1.0]])).shape
    torch.Size([1, 3])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        curvature: float = 0.1,
        bias: bool = True,
        bias_curvature: float | None = None,
    ) -> None:
        super().__init__()
        self.ball = PoincareBall(curvature)
        self.bias_curvature = None if bias_curvature is None else PoincareBall(bias_curvature).curvature
        width = check_integer(in_features, "in_features", low=1)
        made = nn.Linear(width, check_integer(out_features, "out_features", low=1), bias=bool(bias))
        self.weight, self.bias = made.weight, made.bias

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Return points ``(..., out_features)`` of the ball for points ``(..., in_features)`` of the ball."""
        reason = self.ball.check(points.detach())
        if reason is None and points.shape[-1] != self.weight.shape[1]:
            reason = f"{points.shape[-1]} columns"
        if reason is not None:
            raise InputError("points", got=reason, expected=f"points of the ball (..., {self.weight.shape[1]})")
        with torch.autocast(points.device.type, enabled=False):
            c = self.ball.curvature
            moved = poincare.mobius_matvec(self.weight, points.to(self.weight.dtype), c)
            if self.bias is not None:
                own = c if self.bias_curvature is None else self.bias_curvature
                moved = poincare.mobius_add(moved, poincare.exp0(self.bias, own), own)
            return poincare.project(moved, c, MARGIN)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"curvature={self.ball.curvature}, bias_curvature={self.bias_curvature}"


def _check_finite(z: torch.Tensor) -> None:
    if not z.is_floating_point() or not bool(torch.isfinite(z.detach()).all()):
        got = "NaN or an infinity" if z.is_floating_point() else f"dtype {z.dtype}"
        raise InputError("z", got=got, expected="finite floats", remedy="lower the learning rate or check the inputs")
