"""ResNet-18 with the layer names of torchvision, so that weights which a user has go in as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError

STAGES = (64, 128, 256, 512)


@final
class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2016, table 1) without its classifier: pictures ``(B, channels, h, w)`` to ``(B, 512)``.

    Layers: ``conv1``, ``bn1``, ``relu``, ``maxpool``, ``layer1`` to ``layer4`` of two blocks each (``layer2.0.conv1``
    is the first convolution of the second stage), ``avgpool`` (B, 512, 1, 1). Parameters: ``channels`` of the
    pictures; ``width`` multiplies all channels (0.25 for a small one). 11.2 M parameters, 0.28 G multiply-adds at 84
    pixels. Raises ``InputError`` for values that make no sense.
    """

    def __init__(self, *, channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        check_integer(channels, "channels", low=1)
        check_real(width, "width", low=1 / 64, high=8)
        wide = [max(1, round(stage * width)) for stage in STAGES]
        self.dim = wide[-1]
        self.conv1 = nn.Conv2d(channels, wide[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(wide[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = nn.Sequential(_Block(wide[0], wide[0], 1), _Block(wide[0], wide[0], 1))
        self.layer2 = nn.Sequential(_Block(wide[0], wide[1], 2), _Block(wide[1], wide[1], 1))
        self.layer3 = nn.Sequential(_Block(wide[1], wide[2], 2), _Block(wide[2], wide[2], 1))
        self.layer4 = nn.Sequential(_Block(wide[2], wide[3], 2), _Block(wide[3], wide[3], 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return vectors ``(B, dim)`` of pictures ``(B, channels, h, w)``."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(pictures))))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        vectors: torch.Tensor = self.avgpool(maps).flatten(1)
        return vectors

    def load_weights(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take in a state dict of torchvision's ``resnet18``; its classifier (``fc``) is passed over.

        Raises ``InputError`` that names what is missing, unknown or of another shape; nothing is then loaded.
        """
        given = {name: value for name, value in state.items() if not name.startswith("fc.")}
        own = self.state_dict()
        wrong = [f"no {name}" for name in own if name not in given and not name.endswith("num_batches_tracked")]
        wrong += [f"{name}, which is unknown" for name in given if name not in own]
        wrong += [
            f"{name} of shape {tuple(value.shape)} instead of {tuple(own[name].shape)}"
            for name, value in given.items()
            if name in own and value.shape != own[name].shape
        ]
        if wrong:
            raise InputError("state", got="; ".join(wrong[:3]), expected="the state dict of a ResNet-18")
        self.load_state_dict(own | given)


class _Block(nn.Module):
    """Two 3x3 convolutions and a way around them, by a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            around = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(around, nn.BatchNorm2d(outputs))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        around = maps if self.downsample is None else self.downsample(maps)
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(maps)))))
        outputs: torch.Tensor = self.relu(inner + around)
        return outputs
