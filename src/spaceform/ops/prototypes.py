"""Means of the rows of each class, for NumPy arrays and torch tensors alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from spaceform.checks import check_integer
from spaceform.errors import InputError

if TYPE_CHECKING:
    import torch

    Rows = TypeVar("Rows", np.ndarray, torch.Tensor)
else:
    Rows = TypeVar("Rows")


def class_prototypes(X: Rows, codes: Rows, n_classes: int) -> Rows:
    """Return the mean row of each class ``(n_classes, d)`` of ``X (n, d)``; ``codes (n,)`` are in [0, n_classes).

    Gradients flow through tensors. Raises ``InputError`` for codes of another length, out of range or not integer, and
    for a class without a row: its mean is not defined. O(n d).
    """
    check_integer(n_classes, "n_classes", low=1)
    if X.ndim != 2 or tuple(codes.shape) != (len(X),):
        shapes = f"rows {tuple(X.shape)}, codes {tuple(codes.shape)}"
        raise InputError("codes", got=shapes, expected="rows (n, d) and one code for each")
    whole = codes.dtype.kind in "iu" if isinstance(codes, np.ndarray) else not codes.dtype.is_floating_point
    if not whole or (len(codes) and (int(codes.min()) < 0 or int(codes.max()) >= n_classes)):
        raise InputError("codes", got="other codes", expected=f"integers from 0 to {n_classes - 1}")
    if isinstance(X, np.ndarray):
        counts = np.bincount(codes, minlength=n_classes)
        sums = np.zeros((n_classes, X.shape[1]), dtype=X.dtype)
        np.add.at(sums, codes, X)
    else:
        counts = codes.bincount(minlength=n_classes)
        sums = X.new_zeros(n_classes, X.shape[1]).index_add(0, codes, X)
    if int(counts.min()) == 0:
        empty = int(counts.argmin())
        raise InputError("codes", got=f"no row of class {empty}", expected="at least one row per class")
    prototypes: Rows = sums / (counts[:, None].astype(X.dtype) if isinstance(X, np.ndarray) else counts[:, None].to(X))
    return prototypes
