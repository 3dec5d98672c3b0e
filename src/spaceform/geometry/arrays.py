"""The few things that NumPy arrays and torch tensors say differently, so that each formula is written once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

    Rows = TypeVar("Rows", np.ndarray, torch.Tensor)
else:
    Rows = TypeVar("Rows")


def namespace(x: Any) -> Any:
    """Return the module (``numpy`` or ``torch``) whose functions work on ``x``; torch is never imported for it."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(x, torch.Tensor) else np


def tracked(x: Any) -> bool:
    """Return whether gradients flow through ``x``; never through NumPy's arrays."""
    return bool(getattr(x, "requires_grad", False))


def safe_sqrt(x: Rows) -> Rows:
    """Return ``sqrt(max(x, 0))`` with gradient 0 (not infinite) where ``x <= 0``: distances of coincident points."""
    xp = namespace(x)
    if not tracked(x):
        flat: Rows = xp.sqrt(x.clip(min=0))
        return flat
    positive = x > 0
    root: Rows = xp.where(positive, xp.sqrt(xp.where(positive, x, xp.ones_like(x))), xp.zeros_like(x))
    return root


def squares(x: Rows) -> Rows:
    """Return ``|x|^2`` of shape ``(..., 1)`` for the rows of ``x (..., d)``, without a product in memory if it can."""
    xp = namespace(x)
    if xp is np:
        wide = x.dtype in (np.float32, np.float64)  # shorter ones would be summed in their own precision
        result: Rows = (np.einsum("...i,...i->...", x, x) if wide else (x * x).sum(-1))[..., None]
        return result
    if tracked(x):
        product: Rows = (x * x).sum(-1)[..., None]
        return product
    length = xp.linalg.vector_norm(x, dim=-1, keepdim=True)
    square: Rows = length * length
    return square


def norm(x: Rows) -> Rows:
    """Return the Euclidean length ``(..., 1)`` of the rows of ``x (..., d)``; its gradient at 0 is 0."""
    return safe_sqrt(squares(x))


def arcsinh(x: Rows) -> Rows:
    """Return the inverse of sinh for ``x >= 0``: torch's own is not vectorised and takes four times as long.

    ``log1p(x + x^2 / (1 + sqrt(1 + x^2)))`` loses no digits, up to the root of the largest number.
    """
    xp = namespace(x)
    if xp is np:
        given: Rows = xp.arcsinh(x)
        return given
    square = x * x
    result: Rows = xp.log1p(x + square / (1 + xp.sqrt(1 + square)))
    return result


def direction(x: Rows) -> Rows:
    """Return ``x / |x|`` for the rows of ``x (..., d)``; zero rows stay zero, with finite gradient."""
    xp = namespace(x)
    length = norm(x)
    result: Rows = x / xp.where(length > 0, length, xp.ones_like(length))
    return result


def ratio(function: Callable[[Rows], Rows], x: Rows) -> Rows:
    """Return ``function(x) / x`` with its limit 1 at 0 (for tanh, sin and their inverses), gradient 0 there."""
    xp = namespace(x)
    inner = xp.where(x != 0, x, xp.ones_like(x) / 2)  # inside the domain of every inverse
    result: Rows = xp.where(x != 0, function(inner) / inner, xp.ones_like(x))
    return result


def why_not_rows(x: Any) -> str | None:
    """Return why ``x`` is no array of finite real rows ``(..., d)``, or None if it is."""
    xp = namespace(x)
    if xp is np and not isinstance(x, np.ndarray):
        return f"{type(x).__name__} is not a NumPy array or a torch tensor"
    if (x.dtype.kind != "f") if xp is np else not x.is_floating_point():
        return f"dtype {x.dtype} is not a floating-point type"
    if x.ndim == 0 or x.shape[-1] == 0:
        return f"shape {tuple(x.shape)} has no coordinates"
    if not bool(xp.isfinite(x).all()):
        return "a coordinate is NaN or infinite"
    return None
