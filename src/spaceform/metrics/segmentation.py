"""Masks: made from maps of attention, and compared with true ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.types import BoolArray, FloatArray


def dice(found: ArrayLike, truth: ArrayLike) -> float:
    """Return the mean over masks of ``2 |A and B| / (|A| + |B|)`` in [0, 1] (Dice, 1945); two empty masks agree.

    ``found`` and ``truth`` are boolean ``(n, h, w)``. Raises ``InputError`` for other shapes and types. O(n h w).
    """
    ours, theirs = np.asarray(found), np.asarray(truth)
    for name, masks in (("found", ours), ("truth", theirs)):
        if masks.dtype != np.bool_ or masks.ndim != 3 or masks.shape != theirs.shape or not len(masks):
            got = f"{masks.dtype} of shape {masks.shape}"
            raise InputError(name, got=got, expected=f"boolean masks (n, h, w) of shape {theirs.shape}, n >= 1")
    both = (ours & theirs).sum((1, 2))
    sizes = ours.sum((1, 2)) + theirs.sum((1, 2))
    return float(np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), 1.0).mean())


def weak_masks(maps: ArrayLike, size: int, *, threshold: float = 0.5) -> BoolArray:
    """Return masks ``(n, size, size)``: where maps ``(n, h, w)``, enlarged and scaled to [0, 1], reach a threshold.

    Enlarged bilinearly, borders continued; ``threshold`` in (0, 1) is a share of the range of each map. A map of one
    value says nothing and gives an empty mask. Raises ``InputError`` for other shapes and NaN. O(n size^2).
    """
    values: FloatArray = np.asarray(maps, dtype=np.float64)
    if values.ndim != 3 or 0 in values.shape or not np.isfinite(values).all():
        raise InputError("maps", got=f"shape {values.shape}, or NaN", expected="finite maps (n, h, w)")
    check_integer(size, "size", low=1)
    check_real(threshold, "threshold", low=0, high=1, open_ends=True)
    large = _along(_along(values, size, 1), size, 2)
    low, high = large.min((1, 2), keepdims=True), large.max((1, 2), keepdims=True)
    span = high - low
    # enlarging a constant leaves differences of rounding
    told = span > 1e-9 * np.maximum(np.abs(high), 1e-300)
    shares = np.divide(large - low, span, out=np.zeros_like(large), where=told)
    masks: BoolArray = told & (shares >= threshold)
    return masks


def _along(values: FloatArray, size: int, axis: int) -> FloatArray:
    """Interpolate linearly between the centres of the cells along one axis."""
    cells = values.shape[axis]
    places = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    left = np.minimum(places.astype(int), max(cells - 2, 0))
    right = np.minimum(left + 1, cells - 1)
    shape = [1, 1, 1]
    shape[axis] = size
    share = (places - left).reshape(shape)
    return np.take(values, left, axis) * (1 - share) + np.take(values, right, axis) * share
