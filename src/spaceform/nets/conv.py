"""A small convolutional encoder for small pictures."""

from __future__ import annotations

import torch
from torch import nn

from spaceform.checks import check_integer, check_real

CHANNELS = (32, 64, 64, 128)

LARGE = 32
"""Pictures with a longer side (pixels) are halved at once."""


class ConvNet(nn.Module):
    """Four blocks of convolution, batch norm, ReLU and pooling, then one linear layer: pictures to vectors.

    Takes float pictures ``(B, channels, size, size)`` in [0, 1], returns ``(B, dim)``, not normalised. Parameters:
    ``channels`` of the pictures; ``size`` their side in pixels, at least 16; ``dim`` of the vectors; ``width``
    multiplies the 32-64-64-128 channels of the blocks (0.5 halves them). About 0.3 M parameters at 28 pixels.
    Pictures above 32 pixels are halved by the first convolution (stride 2), which costs little and saves three
    quarters of the work; the map before the last layer is pooled to at most 3 x 3 cells.
    """

    def __init__(self, *, channels: int = 3, size: int = 48, dim: int = 128, width: float = 1.0) -> None:
        super().__init__()
        check_integer(channels, "channels", low=1)
        check_integer(size, "size", low=16)
        check_integer(dim, "dim", low=1)
        check_real(width, "width", low=1 / 16, high=16)
        self.dim = dim
        layers: list[nn.Module] = []
        last, side = channels, size
        for block in CHANNELS:
            wide = max(1, round(block * width))
            stride = 2 if not layers and size > LARGE else 1
            layers += [nn.Conv2d(last, wide, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
            side = (side + stride - 1) // stride
            if side > 3:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            last = wide
        cells = min(side, 3)
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(cells), nn.Flatten())
        self.head = nn.Linear(last * cells * cells, dim)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return vectors ``(B, dim)`` of pictures ``(B, channels, size, size)``."""
        vectors: torch.Tensor = self.head(self.trunk(pictures.contiguous(memory_format=torch.channels_last)))
        return vectors
