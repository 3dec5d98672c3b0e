"""Loading what has grown: a module takes the sizes of the saved tensors before it takes their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn


def resize_to(module: nn.Module, state: Mapping[str, Any], prefix: str, names: Sequence[str]) -> None:
    """Give the named parameters and buffers of ``module`` the shapes that they have in ``state``.

    Only the leading dimensions may differ by growth: a tensor of another rank is left as it is, and loading refuses it.
    """
    for name in names:
        saved, own = state.get(prefix + name), getattr(module, name).detach()
        if saved is not None and saved.shape != own.shape and saved.ndim == own.ndim:
            resized = torch.zeros(saved.shape, dtype=own.dtype, device=own.device)
            grown = isinstance(getattr(module, name), nn.Parameter)
            setattr(module, name, nn.Parameter(resized) if grown else resized)
