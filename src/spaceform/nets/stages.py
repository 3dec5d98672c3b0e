"""A small convolutional network in stages, whose maps can be tapped at every depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.errors import InputError

WIDTHS = (32, 48, 64, 96, 96)


@final
class StagedConvNet(nn.Module):
    """Stages of convolution, batch norm and ReLU: pictures ``(B, channels, size, size)`` to ``(B, widths[-1])``.

    In the first stage 2x2 max-pooling follows the convolution; the last keeps its size, those between halve it; then
    the map is averaged. At 28 pixels the sides are 14, 7, 4, 2, 2. Layers: ``stage1`` to ``stage5``. For pictures of
    one pixel (which is what vectors of ``channels`` numbers are) the convolutions are 1x1.

    Parameters: ``channels`` of the pictures; ``size`` their side in pixels; ``widths`` channels of each stage, at least
    one. 0.2 M parameters and 2 M multiply-adds at 28 pixels. Raises ``InputError`` for values that make no sense.
    """

    def __init__(self, *, channels: int = 3, size: int = 28, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        check_integer(size, "size", low=1)
        if not widths:
            raise InputError("widths", got="none", expected="channels of at least one stage")
        self.dim = widths[-1]
        self.stages = [f"stage{depth}" for depth in range(1, len(widths) + 1)]
        last, kernel = check_integer(channels, "channels", low=1), 3 if size > 1 else 1
        for depth, name in enumerate(self.stages):
            wide = check_integer(widths[depth], "widths", low=1)
            stride = 2 if 0 < depth < len(widths) - 1 and size > 1 else 1
            convolution = nn.Conv2d(last, wide, kernel, stride=stride, padding=kernel // 2, bias=False)
            pooled = [nn.MaxPool2d(2)] if depth == 0 and size > 1 else []
            # pooled first: normalising the whole map would cost more than the convolution
            self.add_module(name, nn.Sequential(convolution, *pooled, nn.BatchNorm2d(wide), nn.ReLU()))
            last = wide

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return vectors ``(B, widths[-1])`` of pictures ``(B, channels, size, size)``."""
        maps = pictures.contiguous(memory_format=torch.channels_last)
        for name in self.stages:
            maps = self.get_submodule(name)(maps)
        return maps.mean((2, 3))
