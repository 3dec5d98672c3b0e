"""Small random changes of pictures that leave what is drawn recognisable."""

from __future__ import annotations

import torch
from torch.nn import functional

TURN, GROW, SHIFT, TINT = 0.2, 0.15, 0.1, 0.3
"""At most 0.2 rad of rotation, 15% of scale, a shift of 5% of the side (0.1 grid units), 30% of each colour."""


def jitter(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return float pictures ``(B, C, h, w)`` in [0, 1], each turned, scaled, shifted and tinted by its own draws.

    What comes in from outside is white; tint multiplies the distance of each channel from white, so that the ground
    of a drawing stays white. A pure function of its arguments. O(pixels).
    """
    n, channels = pictures.shape[:2]
    draws = torch.rand(n, 4 + channels, generator=generator) * 2 - 1
    angle, scale = draws[:, 0] * TURN, 1 + draws[:, 1] * GROW
    maps = torch.zeros(n, 2, 3)
    maps[:, 0, 0] = maps[:, 1, 1] = angle.cos() * scale
    maps[:, 1, 0] = angle.sin() * scale
    maps[:, 0, 1] = -maps[:, 1, 0]
    maps[:, :, 2] = draws[:, 2:4] * SHIFT
    grid = functional.affine_grid(maps.to(pictures), list(pictures.shape), align_corners=False)
    dark = functional.grid_sample(1 - pictures, grid, align_corners=False)
    tint = 1 + draws[:, 4:, None, None].to(pictures) * TINT
    return (1 - dark * tint).clamp(0, 1)
