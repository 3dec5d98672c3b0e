"""The first three stages of a ResNet-50, with torchvision's names, so that its ImageNet weights fit."""

from __future__ import annotations

from pathlib import Path
from typing import final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from spaceform.errors import InputError
from spaceform.types import PathLike

BLOCKS = {"layer1": (3, 64, 1), "layer2": (4, 128, 2), "layer3": (6, 256, 2)}
"""Per stage: bottlenecks, their inner width (a quarter of the outer one), and the stride of the first (He and others,
CVPR 2016, table 1; the stride is that of the 3 x 3 convolution, as in torchvision's weights)."""

BEYOND = ("layer4.", "fc.")
"""Parts of a whole ResNet-50 that the trunk leaves out."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@final
class ResNet50Trunk(nn.Module):
    """Pictures ``(B, 3, h, w)`` in [0, 1] to maps ``(B, 1024, h / 16, w / 16)``: a ResNet-50 up to its third stage.

    Colours are brought to ImageNet's mean and deviation first. About 8.5 M parameters; a picture of 224 pixels takes
    3.3 billion multiply-adds: O(B h w). Raises ``InputError`` for pictures without three channels.

    >>> tuple(ResNet50Trunk()(torch.zeros(1, 3, 64, 64)).shape)
    (1, 1024, 4, 4)
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        width = 64
        for name, (count, inner, stride) in BLOCKS.items():
            stage = [
                _Bottleneck(width if not number else 4 * inner, inner, stride if not number else 1)
                for number in range(count)
            ]
            self.add_module(name, nn.Sequential(*stage))
            width = 4 * inner
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the map of the third stage."""
        if pictures.ndim != 4 or pictures.shape[1] != 3:
            raise InputError("pictures", got=f"shape {tuple(pictures.shape)}", expected="(B, 3, h, w)")
        x = self.maxpool(self.bn1(self.conv1((pictures - self.mean) / self.deviation)).relu())
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        return x


def resnet50_trunk(weights: PathLike | None = None) -> ResNet50Trunk:
    """Return a trunk, with the weights of a safetensors file under torchvision's names if one is given.

    Raises ``InputError`` for a file that can't be read or lacks a part of the trunk.
    """
    trunk = ResNet50Trunk()
    if weights is None:
        return trunk
    place = Path(weights)
    try:
        state = {name: value for name, value in load_file(place).items() if not name.startswith(BEYOND)}
        trunk.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        expected = "a safetensors file of a ResNet-50 under torchvision's names"
        raise InputError("weights", got=f"{place} ({error})", expected=expected) from error
    return trunk


class _Bottleneck(nn.Module):
    def __init__(self, width: int, inner: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, 4 * inner, 1, bias=False), nn.BatchNorm2d(4 * inner)
        self.downsample = None
        if stride > 1 or width != 4 * inner:
            self.downsample = nn.Sequential(
                nn.Conv2d(width, 4 * inner, 1, stride=stride, bias=False), nn.BatchNorm2d(4 * inner)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        rest = x if self.downsample is None else self.downsample(x)
        summed: torch.Tensor = (self.bn3(self.conv3(inner)) + rest).relu()
        return summed
