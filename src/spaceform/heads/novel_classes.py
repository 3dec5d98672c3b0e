"""A classifier of embeddings by one direction per class, which grows by examples and is never retrained."""

from __future__ import annotations

from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from spaceform.checks import check_labels, check_matrix, check_real, check_rows
from spaceform.errors import InputError
from spaceform.heads.resultants import concentrations, mean_directions, resultants
from spaceform.ops.pairs import l2_normalize, row_blocks
from spaceform.types import BoolArray, FloatArray, IntArray

_TEXT = "USO"  # kinds of dtypes


@final
class NovelClassClassifier(ClassifierMixin, BaseEstimator):
    """Answers with the class whose unit vector has the largest cosine with the row, and takes new classes at any time.

    ``p(c | x) = exp(scale w_c . z) / sum_j exp(scale w_j . z)`` with ``z = x / |x|``. The vector of a class is the mean
    direction of its rows, ``w_c = r_c / |r_c|`` with ``r_c = sum_x z(x)``; base classes may have learned vectors
    instead, those of a trained head. A class that is added competes on equal terms and changes no other class.

    Parameters
    ----------
    scale : of the cosines, > 0; that of the training where there was one (10 in the first author's package). It changes
        probabilities, never the answer.
    init_weights : vectors (C, d) of a trained head, one for each class of ``fit`` in ascending order of the labels;
        None for mean directions, which is another method (nearest class mean) and usually a weaker one.

    Attributes
    ----------
    classes_ : labels (C,): those of ``fit`` ascending, then those added in the order of addition.
    weights_ : unit vectors (C, d). learned_ : mask (C,) of the vectors that were given.
    sums_, counts_ : resultants (C, d) float64 and numbers of rows (C,), from which a class grows.
    concentration_ : mean resultant lengths (C,) in [0, 1] of the rows of each class; near 0, one vector says little.

    Raises
    ------
    InputError for zero rows, no labelled row, other numbers of vectors than classes, classes whose rows balance out
    (concentration below 1e-6), further rows of a class with a learned vector, and the removal of the last class.

    Cost: O(n d) to fit or to add, O(n C d) to answer; ``predict`` holds a block of 64 MiB, the other answers n x C
    numbers. With more than 100,000 classes search ``weights_`` with an index by inner product instead.
    Traps: there is no rejection, every row gets some class; a class of several shapes is poorly served by one vector.

    Examples
    --------
    >>> base = NovelClassClassifier().fit([[2.0, 0.0], [-1.0, 3**0.5]], ["a", "b"])  # at 0 and 120 degrees
    >>> grown = base.partial_fit([[1.0, 0.0], [0.0, 5.0]], ["new", "new"])  # the mean direction is at 45 degrees
    >>> query = [[1.0, 3**0.5]]  # at 60 degrees
    >>> grown.predict(query), grown.predict_proba(query).round(5)
    (array(['new'], dtype='<U3'), array([[0.0093 , 0.0093 , 0.98141]]))
    """

    def __init__(self, *, scale: float = 10.0, init_weights: ArrayLike | None = None) -> None:
        self.scale = scale
        self.init_weights = init_weights

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Take the classes of rows ``X (n, d)`` with labels ``y (n,)`` (integer -1: left out) and return self."""
        rows, labels = self._enter(X, y, fitting=True)
        check_real(self.scale, "scale", low=0, open_ends=True)
        classes = np.unique(labels)
        sums, counts = resultants(rows, np.searchsorted(classes, labels), n_classes=len(classes))
        learned = np.full(len(classes), self.init_weights is not None)
        if self.init_weights is None:
            given = np.empty((0, rows.shape[1]))
        else:
            given = l2_normalize(check_matrix(self.init_weights, "init_weights", dtype=np.float64), name="init_weights")
            if given.shape != sums.shape:
                raise InputError("init_weights", got=f"shape {given.shape}", expected=f"{sums.shape}, a row per class")
        self._set(classes, sums, counts, learned=learned, given=given)
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """Add the classes of ``y`` that are new, and the rows of those added before; return self.

        Several calls equal one with all rows. ``classes``, if given as scikit-learn's convention has it, are the only
        labels allowed in ``y``. Before ``fit`` it starts from nothing: the disjoint scenario.
        """
        if classes is not None and not np.isin(np.asarray(y), np.asarray(classes)).all():
            raise InputError("y", got="labels outside classes", expected="labels among classes")
        if not hasattr(self, "classes_"):
            return self.fit(X, y)
        rows, labels = self._enter(X, y, fitting=False)
        if (labels.dtype.kind in _TEXT) != (self.classes_.dtype.kind in _TEXT):
            got = f"labels of dtype {labels.dtype}"
            raise InputError("y", got=got, expected=f"such as {self.classes_[0]} ({self.classes_.dtype})")
        met = np.unique(labels)
        fixed = np.intersect1d(met, self.classes_[self.learned_])
        if len(fixed):
            raise InputError("y", got=f"rows of class {fixed[0]}", expected="classes without a learned vector")
        new = np.setdiff1d(met, self.classes_)
        names = np.concatenate([self.classes_, new])
        order = np.argsort(names)
        codes = order[np.searchsorted(names, labels, sorter=order)]
        sums, counts = resultants(rows, codes, n_classes=len(names))
        sums[: len(self.sums_)] += self.sums_
        counts[: len(self.counts_)] += self.counts_
        learned = np.append(self.learned_, np.zeros(len(new), dtype=bool))
        self._set(names, sums, counts, learned=learned, given=self.weights_[self.learned_])
        return self

    def remove_class(self, label: Any) -> Self:
        """Forget one class, learned or added, and return self. O(C d)."""
        check_is_fitted(self)
        kept = self.classes_ != label
        if kept.all() or not kept.any():
            got = "the last class" if not kept.any() else repr(label)
            raise InputError("label", got=got, expected="a class among others", remedy="see classes_")
        given = self.weights_[self.learned_ & kept]
        self._set(self.classes_[kept], self.sums_[kept], self.counts_[kept], learned=self.learned_[kept], given=given)
        return self

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Return logits ``(n, C)``, the scale times the cosines of rows with ``classes_``.

        With two classes, by scikit-learn's convention, the difference ``(n,)`` in favour of the second.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Return probabilities ``(n, C)`` in the order of ``classes_``."""
        probabilities: FloatArray = softmax(self._logits(X), axis=1)
        return probabilities

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the label ``(n,)`` with the largest cosine; ties go to the class that came first."""
        rows, weights = self._sides(X)
        blocks = row_blocks(len(rows), len(weights), itemsize=rows.itemsize)
        return self.classes_[np.concatenate([(rows[block] @ weights.T).argmax(1) for block in blocks])]

    def _logits(self, X: ArrayLike) -> FloatArray:
        rows, weights = self._sides(X)
        return self.scale * (rows @ weights.T).clip(-1, 1)  # rounding leads a little beyond 1

    def _sides(self, X: ArrayLike) -> tuple[FloatArray, FloatArray]:
        rows = l2_normalize(check_rows(self, X, fitting=False))
        return rows, self.weights_.astype(rows.dtype)

    def _enter(self, X: ArrayLike, y: ArrayLike, *, fitting: bool) -> tuple[FloatArray, np.ndarray]:
        """Return the rows that have a label, and the labels."""
        rows = check_rows(self, X, fitting=fitting)
        if y is None:
            raise InputError("y", got="None", expected="requires y to be passed, but the target y is None")
        labels = check_labels(column_or_1d(y, warn=True), len(rows))
        check_classification_targets(labels)
        kept = labels != -1 if labels.dtype.kind == "i" else np.ones(len(labels), dtype=bool)
        if not kept.any():
            raise InputError("y", got="no label", expected="at least one labelled row")
        return rows[kept], labels[kept]

    def _set(
        self, classes: np.ndarray, sums: FloatArray, counts: IntArray, *, learned: BoolArray, given: FloatArray
    ) -> None:
        """Take over classes and sums; vectors follow from them, except the ``given`` ones of ``learned`` classes."""
        weights = np.empty(sums.shape)
        weights[learned] = given
        weights[~learned] = mean_directions(sums[~learned], counts[~learned], name="X")
        self.classes_, self.sums_, self.counts_, self.learned_, self.weights_ = classes, sums, counts, learned, weights
        self.concentration_ = concentrations(sums, counts)
