"""Nearest class mean that turns rows of no class away, on embeddings that are given."""

from __future__ import annotations

from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from spaceform.checks import check_choice, check_labels, check_real, check_rows
from spaceform.errors import InputError
from spaceform.heads.distance import DistanceHead
from spaceform.heads.prototypes import class_prototypes
from spaceform.ops.pairs import squared_distances
from spaceform.types import FloatArray

SCORES = ("distance", "msp", "head")
INLIER = 1


@final
class OpenSetPrototypeClassifier(ClassifierMixin, BaseEstimator):
    """Nearest class mean, or ``unknown_label`` for rows that are near none: the inference of DAFOS-Net.

    A row is known when its score reaches the threshold: minus the least squared distance to a class mean over
    ``temperature`` (``"distance"``), the largest probability of the softmax over negative distances (``"msp"``), or
    what a trained head makes of the sorted distances (``"head"``).

    Parameters
    ----------
    score_by : ``"distance"``, ``"msp"`` or ``"head"``.
    threshold : a number; ``"fit"``: the score that 95% of the rows of ``fit`` reach when each is left out of its own
        class mean; None: nothing is turned away until :meth:`fit_threshold`.
    head : for ``"head"`` a trained :class:`spaceform.heads.distance.DistanceHead`, such as the ``outlier_head`` of a
        ``DAFOSNet``, whose ``n_way`` has to be the number of classes (or which reads the ``nearest``).
    temperature : > 0, divides squared distances; that of the head's training.
    unknown_label : of rows that are turned away; -1 as scikit-learn marks outliers (as text where classes are text).

    Attributes
    ----------
    classes_ : sorted labels (K,). prototypes_ : class means (K, d). threshold_ : in use; minus infinity for none.

    Raises
    ------
    InputError : fewer than two classes, NaN, other widths, a class called ``unknown_label``, a missing head.

    Cost: O(n d) for the fit, O(n K d) for an answer.
    Traps: ``score_samples`` is larger for known rows; ``decision_function``, which for classifiers is a score per
    class, is left out on purpose.

    Examples
    --------
    >>> X, y = [[0.0], [0.2], [5.0], [5.2]], [3, 3, 7, 7]
    >>> OpenSetPrototypeClassifier(threshold=-1.0).fit(X, y).predict([[0.5], [2.5], [5.0]])
    array([ 3, -1,  7])
    """

    def __init__(
        self,
        *,
        score_by: str = "distance",
        threshold: float | str | None = None,
        head: DistanceHead | None = None,
        temperature: float = 1.0,
        unknown_label: int | str = -1,
    ) -> None:
        self.score_by = score_by
        self.threshold = threshold
        self.head = head
        self.temperature = temperature
        self.unknown_label = unknown_label

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Take the mean of each class of the rows ``X (n, d)`` with labels ``y (n,)``."""
        check_choice(self.score_by, "score_by", SCORES)
        check_real(self.temperature, "temperature", low=0, open_ends=True)
        if self.score_by == "head" and not isinstance(self.head, DistanceHead):
            raise InputError("head", got=type(self.head).__name__, expected="a trained DistanceHead")
        if y is None:
            raise InputError("y", got="None", expected="requires y to be passed, but the target y is None")
        rows = check_rows(self, X, fitting=True)
        labels = check_labels(column_or_1d(y, warn=True), len(rows))
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError("y", got=f"{len(self.classes_)} class", expected="at least two classes")
        if self._unknown() in self.classes_:
            raise InputError("y", got=f"a class {self._unknown()!r}", expected="classes other than unknown_label")
        self.prototypes_ = class_prototypes(rows.astype(np.float64), codes, len(self.classes_))
        self.threshold_ = self._chosen(rows.astype(np.float64), codes)
        return self

    def fit_threshold(self, X: Any, y: ArrayLike) -> Self:
        """Set the threshold that tells known rows from those labelled ``unknown_label`` best, and return self.

        ``X (n, d)`` and ``y (n,)`` are other rows than those of ``fit``. Best is the largest mean of the shares of
        known rows kept and of unknown rows turned away; of equal ones the middle of the widest. O(n K d + n log n).
        """
        scores = self.score_samples(X)
        labels = check_labels(y, len(scores))
        known = labels != self._unknown()
        if known.all() or not known.any():
            raise InputError("y", got="rows of one kind", expected="known rows and rows labelled unknown_label")
        order = np.sort(np.unique(scores))
        cuts = np.concatenate([[order[0] - 1.0], (order[1:] + order[:-1]) / 2, [order[-1] + 1.0]])
        kept = 1 - np.searchsorted(np.sort(scores[known]), cuts) / known.sum()
        refused = np.searchsorted(np.sort(scores[~known]), cuts) / (~known).sum()
        self.threshold_ = float(cuts[(kept + refused).argmax()])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the label ``(n,)`` of the nearest class mean, ``unknown_label`` where the score is too low."""
        distances = self._distances(X)
        found: np.ndarray = self.classes_[distances.argmin(1)]
        below = self._scores(distances) < self.threshold_
        if not below.any():
            return found
        wide = np.result_type(found, np.asarray([self._unknown()]))
        return np.where(below, np.asarray(self._unknown(), dtype=wide), found.astype(wide))

    def predict_known(self, X: Any) -> np.ndarray:
        """Return the label ``(n,)`` of the nearest class mean, whatever the score."""
        found: np.ndarray = self.classes_[self._distances(X).argmin(1)]
        return found

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the softmax ``(n, K)`` over negative distances, as if every row were of a known class."""
        shares: FloatArray = softmax(-self._distances(X), axis=1)
        return shares

    def score_samples(self, X: Any) -> FloatArray:
        """Return the score ``(n,)`` of being of a known class, larger for known rows."""
        return self._scores(self._distances(X))

    def _unknown(self) -> int | str:
        return str(self.unknown_label) if self.classes_.dtype.kind in "US" else self.unknown_label

    def _distances(self, X: Any) -> FloatArray:
        rows = check_rows(self, X, fitting=False).astype(np.float64)
        return squared_distances(rows, self.prototypes_) / self.temperature

    def _scores(self, distances: FloatArray) -> FloatArray:
        if self.score_by == "distance":
            return -distances.min(1)
        if self.score_by == "msp":
            best: FloatArray = softmax(-distances, axis=1).max(1)
            return best
        assert self.head is not None  # noqa: S101  # fit saw to it
        weight = next(self.head.parameters())
        with torch.inference_mode():
            logits = self.head(torch.from_numpy(distances).to(weight))
            known: FloatArray = logits.double().softmax(1)[:, INLIER].cpu().numpy()
        return known

    def _chosen(self, rows: FloatArray, codes: np.ndarray) -> float:
        if self.threshold is None:
            return -np.inf
        if self.threshold != "fit":
            return check_real(self.threshold, "threshold")
        counts = np.bincount(codes)
        distances = squared_distances(rows, self.prototypes_)
        own = np.arange(len(rows)), codes
        # without row x the mean m of n rows is m + (m - x) / (n - 1): the distance grows by n / (n - 1)
        alone = counts[codes] == 1
        distances[own] *= np.where(alone, 1.0, counts[codes] / np.maximum(counts[codes] - 1, 1)) ** 2
        scores = self._scores(distances[~alone] / self.temperature) if not alone.all() else np.empty(0)
        if len(scores) == 0:
            raise InputError("y", got="one row per class", expected="a class with two rows", remedy="set a threshold")
        return float(np.quantile(scores, 0.05))
