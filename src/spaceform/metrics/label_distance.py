"""How far predicted labels are from the true ones in the label space: the loss that a label metric asks for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spaceform.errors import InputError
from spaceform.geometry.finite import LabelMetric


def mean_squared_label_distance(metric: LabelMetric, y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the mean of ``d(true, predicted)^2`` over rows of label NAMES (n,); 0 is perfect, lower is better.

    The Frechet mean of calibrated probabilities is the prediction that minimises its expectation. Raises
    ``InputError`` for names that the metric does not know, other lengths, and no rows. O(n path length) on a tree.
    """
    true, predicted = metric.index(y_true, "y_true"), metric.index(y_pred, "y_pred")
    if true.shape != predicted.shape or true.ndim != 1 or len(true) == 0:
        raise InputError("y_pred", got=f"shape {predicted.shape}", expected=f"shape {true.shape}, at least one row")
    return float(np.square(metric.distance(true, predicted)).mean())
