"""A classifier by distances to class means in several embedding spaces, on embeddings that are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from spaceform.checks import check_choice, check_labels, check_rows
from spaceform.errors import InputError
from spaceform.heads.prototypes import class_prototypes
from spaceform.types import FloatArray

Scale = slice | Sequence[int]
"""First column and the one after the last."""

METRICS = {"euclidean": "euclidean", "squared": "sqeuclidean"}
"""Names here and in SciPy."""


@final
class MultiScalePrototypeClassifier(ClassifierMixin, BaseEstimator):
    """Nearest class mean in several embedding spaces at once, on embeddings that are given.

    ``score(x, k) = - sum_s w_s |x_s - mean of class k in space s|``, the rule of MSENet without its network. With one
    space it is the nearest class mean.

    Parameters
    ----------
    scale_slices : the columns of each space as (first, one after the last) or slices, which may leave columns out; None
        takes all columns as one space, or one space per array when ``X`` is a list of arrays.
    weights : ``"uniform"`` or non-negative numbers (S,), not all zero.
    metric : ``"euclidean"`` (MSENet) or ``"squared"`` (prototypical networks).

    Attributes
    ----------
    classes_ : sorted labels (K,). prototypes_ : class means (K, d). scales_ : first column and the one after the last
        of each space (S, 2). weights_ : of each space (S,).

    Raises
    ------
    InputError : fewer than two classes, NaN, other widths, spaces without columns or beyond the last one, weights of
    another number or sign.

    Cost: O(n d) for the fit, O(n K d) for an answer.

    Examples
    --------
    >>> X, y = [[0.0, 0.0, 9.0], [3.0, 4.0, 0.0]], ["a", "b"]
    >>> model = MultiScalePrototypeClassifier(scale_slices=[(0, 2), (2, 3)], weights=[1.0, 0.1]).fit(X, y)
    >>> model.predict([[0.0, 1.0, 1.0]]), model.decision_function([[0.0, 0.0, 0.0]])
    (array(['a'], dtype='<U1'), array([-4.1]))
    """

    def __init__(
        self,
        *,
        scale_slices: Sequence[Scale] | None = None,
        weights: str | Sequence[float] = "uniform",
        metric: str = "euclidean",
    ) -> None:
        self.scale_slices = scale_slices
        self.weights = weights
        self.metric = metric

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Take the mean of each class of the rows ``X (n, d)`` or ``[(n, d_s), ...]`` with labels ``y (n,)``."""
        check_choice(self.metric, "metric", tuple(METRICS))
        if y is None:
            raise InputError("y", got="None", expected="requires y to be passed, but the target y is None")
        rows = check_rows(self, _joined(X), fitting=True)
        labels = check_labels(column_or_1d(y, warn=True), len(rows))
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError("y", got=f"{len(self.classes_)} class", expected="at least two classes")
        self.scales_ = self._scales(X, rows.shape[1])
        self.weights_ = self._weights(len(self.scales_))
        self.prototypes_ = class_prototypes(rows, codes, len(self.classes_))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the label ``(n,)`` of the nearest class; ties go to the first."""
        check_is_fitted(self)
        found: np.ndarray = self.classes_[self._scores(X).argmax(1)]
        return found

    def decision_function(self, X: Any) -> FloatArray:
        """Return minus the weighted distances ``(n, K)``; with two classes their difference ``(n,)`` for the second."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the softmax ``(n, K)`` of minus the weighted distances, as in the training of MSENet."""
        shares: FloatArray = softmax(self._scores(X), axis=1)
        return shares

    def _scores(self, X: Any) -> FloatArray:
        rows = check_rows(self, _joined(X), fitting=False)
        total = np.zeros((len(rows), len(self.classes_)))
        for (first, last), weight in zip(self.scales_, self.weights_, strict=True):
            total -= weight * cdist(rows[:, first:last], self.prototypes_[:, first:last], METRICS[self.metric])
        return total.astype(rows.dtype)

    def _scales(self, X: Any, width: int) -> np.ndarray:
        if self.scale_slices is None:
            stops = np.cumsum([part.shape[1] for part in X]) if _is_parts(X) else np.array([width])
            return np.stack([np.concatenate([[0], stops[:-1]]), stops], axis=1)
        scales = []
        for given in self.scale_slices:
            bounds = given.indices(width)[:2] if isinstance(given, slice) else tuple(given)
            if len(bounds) != 2 or not 0 <= bounds[0] < bounds[1] <= width:
                expected = f"first column and the one after the last, within {width} columns"
                raise InputError("scale_slices", got=given, expected=expected)
            scales.append(bounds)
        if not scales:
            raise InputError("scale_slices", got="no space", expected="at least one")
        return np.array(scales)

    def _weights(self, n_scales: int) -> FloatArray:
        if isinstance(self.weights, str):
            check_choice(self.weights, "weights", ("uniform",))
            return np.ones(n_scales)
        found = np.asarray(self.weights, dtype=np.float64)
        if found.shape != (n_scales,) or not np.isfinite(found).all() or found.min() < 0 or found.max() == 0:
            expected = f"{n_scales} non-negative numbers, not all zero"
            raise InputError("weights", got=self.weights, expected=expected)
        return found


def _is_parts(X: Any) -> bool:
    """Return whether ``X`` is a list of matrices, one per space, and not a list of rows."""
    return isinstance(X, list | tuple) and len(X) > 0 and all(isinstance(p, np.ndarray) and p.ndim == 2 for p in X)


def _joined(X: Any) -> Any:
    if not _is_parts(X):
        return X
    if len({len(part) for part in X}) > 1:
        raise InputError("X", got=f"arrays of {[len(part) for part in X]} rows", expected="equally many in each space")
    return np.hstack(X)
