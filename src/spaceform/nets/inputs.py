"""Pictures and vectors at the door of a network: what they may look like, and as which tensor they go in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from spaceform.checks import check_matrix
from spaceform.errors import InputError

PICTURES = "uint8 pictures (n, size, size[, channels]), or floats in [0, 1] of that shape"


def check_inputs(X: ArrayLike) -> np.ndarray:
    """Return square pictures as ``(n, size, size, channels)`` uint8 or float32, or vectors as ``(n, d)`` float32.

    Anything else raises ``InputError``: other shapes, no rows, NaN, pictures of numbers outside [0, 1].
    """
    array: Any = np.asarray(X) if not hasattr(X, "toarray") else X
    if getattr(array, "ndim", 0) not in {3, 4}:
        return check_matrix(X, dtype=np.float32)
    pictures = array[..., None] if array.ndim == 3 else array
    if pictures.shape[1] != pictures.shape[2] or 0 in pictures.shape or pictures.dtype.kind not in "uf":
        raise InputError("X", got=f"shape {array.shape}, dtype {array.dtype}", expected=PICTURES)
    if pictures.dtype == np.uint8:
        return pictures
    if pictures.dtype.kind != "f" or not (pictures.min() >= 0 and pictures.max() <= 1):
        raise InputError("X", got=f"{array.dtype} from {pictures.min()} to {pictures.max()}", expected=PICTURES)
    return pictures.astype(np.float32)


def as_tensor(inputs: np.ndarray) -> torch.Tensor:
    """Return checked inputs as float32: vectors ``(n, d)``, pictures ``(n, channels, size, size)`` in [0, 1].

    Pictures stay channels-last in memory, which is what fast convolutions want.
    """
    tensor = torch.from_numpy(np.array(inputs, order="C"))  # a copy: the input may be read-only
    if inputs.ndim == 2:
        return tensor
    pictures = tensor.permute(0, 3, 1, 2)
    return pictures.float().div_(255) if inputs.dtype == np.uint8 else pictures
