"""A network without batch normalization, as users name it: ``oracles.plain_net:plain_net``."""

from __future__ import annotations

import torch
from torch import nn


def plain_net(shape: tuple[int, ...], dim: int) -> nn.Module:
    """Two layers over the flattened input."""
    return nn.Sequential(nn.Flatten(), nn.Linear(int(torch.tensor(shape).prod()), 16), nn.ReLU(), nn.Linear(16, dim))


def wrong_width(shape: tuple[int, ...], dim: int) -> nn.Module:
    """One output too many."""
    return plain_net(shape, dim + 1)


def no_net(shape: tuple[int, ...], dim: int) -> str:
    """No module at all."""
    return "net"


def broken(shape: tuple[int, ...], dim: int) -> nn.Module:
    """A module that does not fit its input."""
    return nn.Linear(shape[0] + 1, dim)
