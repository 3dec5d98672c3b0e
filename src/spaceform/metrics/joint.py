"""Accuracy where classes that were trained and classes that were added compete."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_labels
from spaceform.errors import InputError


@dataclass(frozen=True)
class JointAccuracy:
    """Accuracies in [0, 1]: on rows of ``base`` classes, of ``novel`` ones, of all (``overall``), and ``harmonic``.

    The harmonic mean of base and novel accuracy is 0 if either is, so that it can't be had by giving up on one kind.
    """

    base: float
    novel: float
    overall: float
    harmonic: float

    def to_dict(self) -> dict[str, float]:
        """Return plain values for JSON."""
        return asdict(self)


def joint_accuracy(y_true: ArrayLike, y_pred: ArrayLike, base: ArrayLike) -> JointAccuracy:
    """Return the accuracies of answers among all classes, apart for rows of base and of novel classes.

    Parameters: ``y_true (n,)``, ``y_pred (n,)`` labels of any kind; ``base`` the labels of the base classes, all others
    are novel. The harmonic mean is the usual figure of generalised zero- and few-shot learning (Xian and others, CVPR
    2017). Raises ``InputError`` for other lengths and when rows of either kind are missing. O(n log C).
    """
    true = check_labels(y_true, len(np.atleast_1d(y_true)), "y_true")
    right = true == check_labels(y_pred, len(true), "y_pred")
    trained = np.isin(true, np.asarray(base))
    if trained.all() or not trained.any():
        missing = "novel" if trained.any() else "base"
        raise InputError("y_true", got=f"no row of a {missing} class", expected="rows of base and of novel classes")
    known, added = float(right[trained].mean()), float(right[~trained].mean())
    harmonic = 2 * known * added / (known + added) if known + added > 0 else 0.0
    return JointAccuracy(base=known, novel=added, overall=float(right.mean()), harmonic=harmonic)
