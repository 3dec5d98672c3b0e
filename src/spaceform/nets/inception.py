"""The networks of FaceNet's tables 1 and 2, from tables.

``NN1`` stacks convolutions (Zeiler and Fergus with 1x1 convolutions, 140 M parameters at 220 pixels); ``NN2`` (224
pixels, 7.5 M parameters), ``NN3`` (160) and ``NN4`` (96) are GoogLeNets with L2 pooling. All map pictures to vectors
that the loss brings to unit length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from spaceform.checks import check_choice, check_integer


@dataclass(frozen=True)
class Module:
    """One row of table 2: channels of each branch (0: no such branch), ``stride`` 2 where the map is halved."""

    single: int
    reduce3: int
    conv3: int
    reduce5: int
    conv5: int
    pool: str
    project: int
    stride: int = 1

    @property
    def channels(self) -> int:
        """Channels that come out, without those of a pool that is not projected."""
        return self.single + self.conv3 + self.conv5 + self.project


TABLE_2 = (
    Module(64, 96, 128, 16, 32, "max", 32),  # 3a
    Module(64, 96, 128, 32, 64, "l2", 64),  # 3b
    Module(0, 128, 256, 32, 64, "max", 0, stride=2),  # 3c
    Module(256, 96, 192, 32, 64, "l2", 128),  # 4a
    Module(224, 112, 224, 32, 64, "l2", 128),  # 4b
    Module(192, 128, 256, 32, 64, "l2", 128),  # 4c
    Module(160, 144, 288, 32, 64, "l2", 128),  # 4d
    Module(0, 160, 256, 64, 128, "max", 0, stride=2),  # 4e
    Module(384, 192, 384, 48, 128, "l2", 128),  # 5a
    Module(384, 192, 384, 48, 128, "max", 128),  # 5b
)
NN4_TABLE = (*TABLE_2[:8], Module(384, 192, 384, 0, 0, "l2", 128), Module(384, 192, 384, 0, 0, "max", 128))

SIZES = {"nn1": 220, "nn2": 224, "nn3": 160, "nn4": 96}
"""Pixels of the pictures in the paper; other sizes of at least 64 work too, except for NN1."""


@final
class Inception(nn.Module):
    """NN2, NN3 or NN4: float pictures ``(B, channels, size, size)`` to vectors ``(B, dim)``, not normalised.

    Parameters: ``name`` ``"nn2"``, ``"nn3"`` (the same at 160 pixels) or ``"nn4"`` (no 5x5 branch in the last two
    modules); ``channels`` of the pictures; ``dim``; ``batch_norm``: after every convolution, instead of biases. The
    paper, of early 2015, has none; without it a random start needs the paper's days of training. Everything else is as
    in table 2; the norm of the stem is local response normalization, L2 pooling is the root of the sum of squares
    over 3 x 3. About 1.6 G multiply-adds for a picture of 224 pixels.
    """

    def __init__(self, *, name: str = "nn2", channels: int = 3, dim: int = 128, batch_norm: bool = True) -> None:
        super().__init__()
        check_choice(name, "name", ("nn2", "nn3", "nn4"))
        self.dim = check_integer(dim, "dim", low=1)
        table = NN4_TABLE if name == "nn4" else TABLE_2
        layers: list[nn.Module] = [
            _convolution(check_integer(channels, "channels", low=1), 64, 7, stride=2, batch_norm=batch_norm),
            nn.MaxPool2d(3, 2, padding=1),
            _local_norm(),
            _convolution(64, 64, 1, batch_norm=batch_norm),
            _convolution(64, 192, 3, batch_norm=batch_norm),
            _local_norm(),
            nn.MaxPool2d(3, 2, padding=1),
        ]
        last = 192
        for row in table:
            layers.append(_Branches(last, row, batch_norm=batch_norm))
            last = row.channels + (0 if row.project else last)
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(last, dim)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return vectors ``(B, dim)`` of pictures ``(B, channels, size, size)``."""
        vectors: torch.Tensor = self.head(self.trunk(pictures.contiguous(memory_format=torch.channels_last)))
        return vectors


@final
class ZeilerFergus(nn.Module):
    """NN1: float pictures ``(B, channels, size, size)`` to vectors ``(B, dim)``, not normalised.

    Parameters: ``channels`` and ``size`` (220 in the paper) of the pictures, whose map before the last layers has
    ``size / 32`` cells a side; ``dim``; ``batch_norm`` as in :class:`Inception`. The two wide layers are maxout
    over pairs (table 1: 32 x 128 units, p = 2). 140 M parameters at 220 pixels, 1.6 G multiply-adds for a picture.
    """

    def __init__(self, *, channels: int = 3, size: int = 220, dim: int = 128, batch_norm: bool = True) -> None:
        super().__init__()
        self.dim = check_integer(dim, "dim", low=1)
        cells = _halved(check_integer(size, "size", low=64), times=5)

        def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
            return _convolution(inputs, outputs, kernel, stride=stride, batch_norm=batch_norm)

        self.trunk = nn.Sequential(
            convolution(check_integer(channels, "channels", low=1), 64, 7, 2),
            nn.MaxPool2d(3, 2, padding=1),
            _local_norm(),
            convolution(64, 64, 1),
            convolution(64, 192, 3),
            _local_norm(),
            nn.MaxPool2d(3, 2, padding=1),
            convolution(192, 192, 1),
            convolution(192, 384, 3),
            nn.MaxPool2d(3, 2, padding=1),
            convolution(384, 384, 1),
            convolution(384, 256, 3),
            convolution(256, 256, 1),
            convolution(256, 256, 3),
            convolution(256, 256, 1),
            convolution(256, 256, 3),
            nn.MaxPool2d(3, 2, padding=1),
            nn.Flatten(),
            _Maxout(256 * cells * cells, 32 * 128),
            _Maxout(32 * 128, 32 * 128),
        )
        self.head = nn.Linear(32 * 128, dim)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return vectors ``(B, dim)`` of pictures ``(B, channels, size, size)``."""
        vectors: torch.Tensor = self.head(self.trunk(pictures))
        return vectors


class _Branches(nn.Module):
    """The parallel branches of one inception module, side by side in their output."""

    def __init__(self, inputs: int, row: Module, *, batch_norm: bool) -> None:
        super().__init__()
        branches: list[nn.Module] = []

        def two(reduce: int, outputs: int, kernel: int) -> nn.Module:
            return nn.Sequential(
                _convolution(inputs, reduce, 1, batch_norm=batch_norm),
                _convolution(reduce, outputs, kernel, stride=row.stride, batch_norm=batch_norm),
            )

        if row.single:
            branches.append(_convolution(inputs, row.single, 1, batch_norm=batch_norm))
        branches.append(two(row.reduce3, row.conv3, 3))
        if row.conv5:
            branches.append(two(row.reduce5, row.conv5, 5))
        pool: list[nn.Module] = [nn.MaxPool2d(3, row.stride, padding=1) if row.pool == "max" else _L2Pool()]
        if row.project:
            pool.append(_convolution(inputs, row.project, 1, batch_norm=batch_norm))
        branches.append(nn.Sequential(*pool))
        self.branches = nn.ModuleList(branches)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


class _L2Pool(nn.Module):
    """Root of the sum of squares over 3 x 3 cells; the small constant bounds the slope at 0."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        squares = nn.functional.avg_pool2d(maps * maps, 3, 1, padding=1, count_include_pad=True)
        return (9 * squares + 1e-6).sqrt()


class _Maxout(nn.Module):
    """``outputs`` units, each the larger of two linear ones."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 2 * outputs)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        pairs: torch.Tensor = self.linear(vectors).unflatten(1, (-1, 2))
        return pairs.amax(dim=2)


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, batch_norm: bool) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=not batch_norm)
    ]
    if batch_norm:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, nn.ReLU())


def _local_norm() -> nn.Module:
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)


def _halved(size: int, *, times: int) -> int:
    for _ in range(times):
        size = (size + 1) // 2
    return size
