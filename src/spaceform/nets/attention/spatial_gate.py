"""A gate over the places of a feature map, and a backbone that looks through it."""

from __future__ import annotations

from typing import Self, final

import torch
from torch import nn

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError


@final
class SpatialGate(nn.Module):
    """Attention A in (0, 1) for every place of a feature map F, which becomes ``F * A``.

    ``A = sigmoid(conv(relu(conv(relu(conv(F))))))`` with 3 x 3 convolutions (Adiga V, Dolz, Lombaert, JBHI 2022).
    Parameters: ``channels`` C of the map; ``reduction``: the first two convolutions have ``C / reduction[0]`` and
    ``C / reduction[1]`` channels, C / 8 and C / 32 there. Raises ``InputError`` for fewer channels than that.
    O(B h w C^2 / reduction[0]).

    >>> attention, gated = SpatialGate(32)(torch.ones(2, 32, 7, 7))
    >>> tuple(attention.shape), tuple(gated.shape)
    ((2, 1, 7, 7), (2, 32, 7, 7))
    """

    def __init__(self, channels: int, *, reduction: tuple[int, int] = (8, 32)) -> None:
        super().__init__()
        check_integer(channels, "channels", low=1)
        widths = [channels // check_integer(share, "reduction", low=1) for share in reduction]
        if 0 in widths:
            raise InputError("channels", got=channels, expected=f"at least {max(reduction)} with reduction {reduction}")
        self.layers = nn.Sequential(
            nn.Conv2d(channels, widths[0], 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(widths[0], widths[1], 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(widths[1], 1, 3, padding=1),
        )

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the map ``(B, 1, h, w)`` and the gated features ``(B, C, h, w)`` of ``features (B, C, h, w)``."""
        attention = torch.sigmoid(self.layers(features))
        return attention, features * attention


@final
class GatedBackbone(nn.Module):
    """Pictures to features: a trunk, a spatial gate (or none), the mean over all places, dropout.

    Parameters: ``trunk`` maps pictures to ``(B, P, h, w)`` of any h and w; ``gate`` a :class:`SpatialGate` over P
    channels, or None; ``dropout`` (0.01) of the features; ``freeze_norms``: batch norm layers of the trunk keep the
    statistics that they came with, while their weights learn, as a pretrained trunk wants it.

    Raises ``InputError`` for pictures with another number of channels than the trunk's first convolution takes.
    Costs what the trunk does, O(B P h w) more, and what the gate does.

    >>> backbone = GatedBackbone(nn.Conv2d(1, 32, 3, stride=2, padding=1), SpatialGate(32))
    >>> tuple(backbone(torch.zeros(4, 1, 28, 28)).shape), tuple(backbone.attention(torch.zeros(4, 1, 28, 28)).shape)
    ((4, 32), (4, 1, 14, 14))
    """

    def __init__(
        self, trunk: nn.Module, gate: SpatialGate | None, *, dropout: float = 0.01, freeze_norms: bool = False
    ) -> None:
        super().__init__()
        self.trunk, self.gate = trunk, gate
        self.dropout = nn.Dropout(check_real(dropout, "dropout", low=0, high=1))
        self.freeze_norms = freeze_norms
        takes = (layer.in_channels for layer in trunk.modules() if isinstance(layer, nn.Conv2d))
        self._channels = next(takes, None)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return features ``(B, P)`` of pictures ``(B, channels, size, size)``."""
        features = self._map(pictures)
        if self.gate is not None:
            features = self.gate(features)[1]
        pooled: torch.Tensor = self.dropout(features.mean((2, 3)))
        return pooled

    def attention(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the attention map ``(B, 1, h, w)`` in (0, 1); all ones without a gate."""
        features = self._map(pictures)
        return torch.ones_like(features[:, :1]) if self.gate is None else self.gate(features)[0]

    def activity(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the mean size of the ungated features at every place ``(B, 1, h, w)``: a map to compare with."""
        return self._map(pictures).abs().mean(1, keepdim=True)

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode (or back), in which frozen batch norm layers stay in evaluation mode."""
        super().train(mode)
        if self.freeze_norms:
            for layer in self.trunk.modules():
                if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                    layer.eval()
        return self

    def _map(self, pictures: torch.Tensor) -> torch.Tensor:
        if pictures.ndim != 4 or (self._channels is not None and pictures.shape[1] != self._channels):
            raise InputError(
                "pictures", got=f"shape {tuple(pictures.shape)}", expected=f"(B, {self._channels or 'channels'}, h, w)"
            )
        features: torch.Tensor = self.trunk(pictures)
        return features
