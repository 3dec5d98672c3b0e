"""Resultants: sums of unit rows. The direction is the prototype of a class, the length says how concentrated it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy.sparse import csr_array

from spaceform.errors import InputError
from spaceform.ops.pairs import l2_normalize
from spaceform.types import FloatArray, IntArray

if TYPE_CHECKING:
    import torch

    Rows = TypeVar("Rows", np.ndarray, torch.Tensor)
else:
    Rows = TypeVar("Rows")

LEAST_CONCENTRATION = 1e-6
"""Rows whose resultant is shorter than this share of their number balance out: rounding would choose the direction."""


def resultants(X: FloatArray, codes: IntArray, *, n_classes: int) -> tuple[FloatArray, IntArray]:
    """Return for each class the sum ``(K, d)`` float64 of its rows at unit length, and their number ``(K,)``.

    Parameters: ``X (n, d)``; ``codes (n,)`` from 0 to ``n_classes - 1``, or negative for rows that are left out. Sums
    and numbers of further rows may simply be added, which is all that a class needs to grow. Rows are normalised before
    they are added: a mean of raw rows would weigh them by their length. Raises ``InputError`` for a zero row. O(n d).
    """
    kept = codes >= 0
    rows = l2_normalize(np.asarray(X, dtype=np.float64)[kept])
    chosen = codes[kept]
    table = csr_array((np.ones(len(chosen)), (chosen, np.arange(len(chosen)))), shape=(n_classes, len(chosen)))
    return table @ rows, np.bincount(chosen, minlength=n_classes)


def concentrations(sums: Rows, counts: Rows) -> Rows:
    """Return the mean resultant lengths ``(K,)`` in [0, 1]: 1 for equal directions, 0 for balanced ones. O(K d)."""
    return (sums * sums).sum(-1) ** 0.5 / counts


def mean_directions(sums: Rows, counts: Rows, *, name: str = "support") -> Rows:
    """Return the unit vectors ``(K, d)`` along resultants ``sums (K, d)`` of ``counts (K,)`` rows.

    It is the maximum-likelihood mean direction of a von Mises-Fisher law (Mardia and Jupp, Directional Statistics).
    Raises ``InputError`` that calls the rows ``name`` where a concentration is below 1e-6: such directions balance out.
    O(K d).
    """
    spread = concentrations(sums, counts)
    if bool((spread < LEAST_CONCENTRATION).any()):
        row = int((spread < LEAST_CONCENTRATION).nonzero()[0].reshape(-1)[0])
        raise InputError(
            name,
            got=f"directions that balance out (class number {row}, concentration {float(spread[row]):.1g})",
            expected=f"rows with a common direction (concentration at least {LEAST_CONCENTRATION:g})",
        )
    return l2_normalize(sums, name=name)
