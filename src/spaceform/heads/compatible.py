"""A new last layer for a trained encoder, as the first step towards vectors that an older model can read."""

from __future__ import annotations

import copy

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.rng import derive_seed


def compatible_head(encoder: nn.Module, dim: int, *, seed: int = 0) -> nn.Module:
    """Return a copy of ``encoder`` with its last layer drawn anew, to vectors of ``dim`` dimensions.

    ``encoder`` has a ``trunk`` and a linear ``head`` (the encoders of ``spaceform.nets`` have); the trunk is copied.
    FaceNet (appendix 7) starts a harmonic model so: an independently trained network whose embedding layer is
    initialised at random. Raises ``InputError`` for an encoder without such a head. O(parameters).
    """
    check_integer(dim, "dim", low=1)
    head = getattr(encoder, "head", None)
    if not isinstance(head, nn.Linear) or not hasattr(encoder, "trunk"):
        raise InputError("encoder", got=type(encoder).__name__, expected="a module with a trunk and a linear head")
    changed = copy.deepcopy(encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "head"))
        changed.head = nn.Linear(head.in_features, dim).to(head.weight)
    if hasattr(changed, "dim"):
        changed.dim = dim  # type: ignore[assignment]  # a number on our encoders
    return changed
