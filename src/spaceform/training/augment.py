"""Small random changes of pictures that leave what is drawn recognisable."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from spaceform.checks import check_integer
from spaceform.errors import InputError

TURN, GROW, SHIFT, TINT = 0.2, 0.15, 0.1, 0.3
"""At most 0.2 rad of rotation, 15% of scale, a shift of 5% of the side (0.1 grid units), 30% of each colour."""


def jitter(pictures: torch.Tensor, generator: torch.Generator, *, of: tuple[int, int] | None = None) -> torch.Tensor:
    """Return float pictures ``(B, C, h, w)`` in [0, 1], each turned, scaled, shifted and tinted by its own draws.

    What comes in from outside is white; tint multiplies the distance of each channel from white, so that the ground
    of a drawing stays white. ``of=(first, total)`` says that these are the pictures from number ``first`` on of a
    batch of ``total``, and changes them as in the whole. A pure function of its arguments. O(pixels).
    """
    n, channels = pictures.shape[:2]
    first, total = (0, n) if of is None else of
    draws = torch.rand(total, 4 + channels, generator=generator)[first : first + n] * 2 - 1
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


def wobble(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return float pictures ``(B, C, h, w)``, each turned, scaled and shifted a little by its own draws.

    At most 14 degrees, 10% of scale and 6% of the side, as for handwriting; what comes in from outside repeats the
    edge, whatever its colour. A pure function of its arguments. O(pixels).
    """
    draws = torch.rand(len(pictures), 4, generator=generator) * 2 - 1
    angle, scale = draws[:, 0] * math.radians(14), 1 + draws[:, 1] * 0.1
    maps = torch.zeros(len(pictures), 2, 3)
    maps[:, 0, 0] = maps[:, 1, 1] = angle.cos() * scale
    maps[:, 1, 0] = angle.sin() * scale
    maps[:, 0, 1] = -maps[:, 1, 0]
    maps[:, :, 2] = draws[:, 2:] * 0.125
    grid = functional.affine_grid(maps.to(pictures), list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def quarter_turns(pictures: torch.Tensor, labels: torch.Tensor, *, turns: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Return every picture ``(B, C, s, s)`` turned by 0, 90, ... degrees, and labels ``y -> turns * y + k``.

    The label augmentation of PASS and NAPA-VQ: a picture and its turns are of different classes. Ordered by turn, then
    by row: ``(turns B, C, s, s)`` and ``(turns B,)``; ``turns`` 1 to 4. O(pixels).
    """
    check_integer(turns, "turns", low=1, high=4)
    if pictures.ndim != 4 or pictures.shape[2] != pictures.shape[3]:
        raise InputError("pictures", got=f"shape {tuple(pictures.shape)}", expected="square pictures (B, C, s, s)")
    turned = torch.cat([pictures.rot90(k, (2, 3)) for k in range(turns)])
    return turned, torch.cat([labels * turns + k for k in range(turns)])


def flipped_crops(pictures: torch.Tensor, generator: torch.Generator, *, size: int) -> torch.Tensor:
    """Return a random part of each picture ``(B, C, h, w)`` as ``(B, C, size, size)``, flipped either way by chance.

    The part has 8% to 100% of the area and sides 3 : 4 to 4 : 3 (Szegedy and others, CVPR 2015), cut to the picture;
    what it holds is interpolated, not averaged, where it shrinks. A pure function of its arguments. O(B C size^2).
    """
    check_integer(size, "size", low=1)
    draws = torch.rand(len(pictures), 6, generator=generator)
    area, slant = 0.08 + 0.92 * draws[:, 0], (2 * draws[:, 1] - 1) * math.log(4 / 3)
    sides = torch.stack([(area * slant.exp()).sqrt(), (area / slant.exp()).sqrt()], 1).clamp(max=1)
    centres = (2 * draws[:, 2:4] - 1) * (1 - sides)
    signs = (draws[:, 4:6] < 0.5).float() * -2 + 1
    maps = torch.zeros(len(pictures), 2, 3)
    maps[:, 0, 0], maps[:, 1, 1] = (sides * signs).T
    maps[:, :, 2] = centres
    grid = functional.affine_grid(maps.to(pictures), [*pictures.shape[:2], size, size], align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
