"""Labels of which only some are known: the one reading of ``y`` that all discovery methods share."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_partial_labels
from spaceform.errors import InputError
from spaceform.types import BoolArray, FloatArray, IntArray

UNLABELLED = -1


@dataclass(frozen=True)
class PartialLabels:
    """``classes (C,)`` ascending known labels; ``codes (n,)`` index into them, -1 where unlabelled."""

    classes: IntArray
    codes: IntArray

    @property
    def unlabelled(self) -> BoolArray:
        """Mask (n,) of rows without a label."""
        return self.codes < 0

    def means(self, X: FloatArray) -> FloatArray:
        """Return the mean row ``(C, d)`` of every known class, in the dtype of ``X``. O(n d)."""
        sums = np.zeros((len(self.classes), X.shape[1]))
        for code in range(len(self.classes)):
            sums[code] = X[self.codes == code].mean(0, dtype=np.float64)
        return sums.astype(X.dtype)


def read_partial(
    y: ArrayLike | None, n: int, *, need_known: bool = False, need_unlabelled: bool = True
) -> PartialLabels:
    """Return ``y (n,)`` (integers, -1 = unlabelled; None = nothing labelled) as classes and codes.

    Raises ``InputError`` when a labelled or an unlabelled row is needed and there is none, and for other negative
    labels. Warns of classes with one row: their mean and spread say little.
    """
    labels = np.full(n, UNLABELLED, np.int64) if y is None else check_partial_labels(y, n)
    known = labels >= 0
    if need_known and not known.any():
        raise InputError("y", got="no labelled row", expected="some rows with a label >= 0")
    if need_unlabelled and known.all():
        raise InputError("y", got="labels on all rows", expected="rows marked -1, in which to find novel classes")
    codes = np.full(n, UNLABELLED, np.int64)
    classes, codes[known], counts = np.unique(labels[known], return_inverse=True, return_counts=True)
    if (counts == 1).any():
        names = ", ".join(map(str, classes[counts == 1][:5]))
        warnings.warn(f"y: known classes with a single row ({names})", UserWarning, stacklevel=3)
    return PartialLabels(classes, codes)


def check_n_novel(n_novel: int | None, n_unlabelled: int, *, low: int = 1) -> int:
    """Return the number of novel classes, or raise ``InputError`` unless it lies in ``low..n_unlabelled``."""
    if isinstance(n_novel, bool) or not isinstance(n_novel, int | np.integer) or not low <= n_novel <= n_unlabelled:
        raise InputError(
            "n_novel",
            got=f"{n_novel!r} for {n_unlabelled} sample(s) without a label",
            expected=f"an integer from {low} to {n_unlabelled}",
        )
    return int(n_novel)
