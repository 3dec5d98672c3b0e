"""Loki (Roberts et al., NeurIPS 2023): a classifier of few classes answers over a whole label space."""

from __future__ import annotations

import warnings
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import check_consistent_length, column_or_1d, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from spaceform.checks import check_choice, check_labels, check_real
from spaceform.errors import InputError
from spaceform.geometry.finite import LabelMetric
from spaceform.geometry.graph import GraphMetric
from spaceform.geometry.matrix import MatrixMetric
from spaceform.geometry.tree import TreeMetric
from spaceform.geometry.variance import DISTANCE_BYTES
from spaceform.heads.frechet_labels import LokiLogits, LokiSTE
from spaceform.metrics.calibration import apply_temperature, fit_temperature
from spaceform.ops.frechet import check_candidates, check_weights, frechet_mean, label_means
from spaceform.rng import as_generator
from spaceform.samplers.next_class import NextClassSelector, SelectionPath
from spaceform.types import FloatArray, IntArray, RandomState

__all__ = ["LabelMetric", "LokiClassifier", "LokiLogits", "LokiSTE", "NextClassSelector", "SelectionPath"]

CANDIDATES = ("all", "leaves", "observed")


@final
class LokiClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Predict the Frechet mean of the class probabilities over ALL labels of a metric, trained or not.

    ``argmin_y sum_k P_k(x) d(y, l_k)^2`` over the candidates ``y`` (Loki, equation of section 3), where ``P`` are the
    probabilities of any classifier over the observed classes ``l_1..l_K``. For calibrated probabilities it is the
    Bayes rule for squared label distance; under the discrete metric it is argmax. Ties go to the lowest id.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``; None for the five nearest neighbours (the paper's text model).
    label_metric : LabelMetric whose ``labels`` contain every class of ``y``; None for the discrete metric on them.
    observed : ids (K,) of the estimator's columns in the metric, in their order; None to look ``classes_`` up by name.
    candidates : "all", "leaves" of a tree (inner nodes are no classes then), "observed" (the ablation that can predict
        nothing new), or ids of the labels that may be predicted.
    temperature : number > 0 that softens (> 1) or sharpens the probabilities, or "fit": the least negative
        log-likelihood on ``validation_fraction`` of the rows, on which the estimator is then not trained.
    validation_fraction : share in (0, 1) of the rows held out by "fit" (stratified where classes allow).
    prefit : the estimator is fitted already; ``fit`` then uses its rows for the temperature only.
    random_state : seed of the held-out rows.

    Attributes
    ----------
    estimator_ : the fitted classifier.
    label_metric_ : the metric in use.
    observed_ : ids (K,) of the observed classes, in the order of the probability columns.
    candidates_ : ascending ids (M,) that may be predicted.
    classes_ : names (M,) of the candidates.
    temperature_ : the temperature in use.
    sq_dist_ : table (K, M) of a graph metric, if it fits into 512 MiB; else None, and distances are made in blocks.

    Raises
    ------
    InputError for a label that the metric does not know, repeated or unknown ids, another number of columns than
    observed classes, and probabilities that are negative, NaN or all zero. One observed class warns: every answer is
    that class.

    Notes
    -----
    Besides the estimator's own cost, n rows take O(n S) on a tree (S labels between observed ones), O(n K N) else.
    Traps: the gain is in label distance, top-1 accuracy may fall; under-confident probabilities pull every answer to
    the centre of the label space (calibrate); a metric that disagrees with the features is worse than argmax.

    Examples
    --------
    >>> metric = TreeMetric([-1, 0, 1, 2])  # a path 0 - 1 - 2 - 3, of which 0 and 3 are observed
    >>> X, y = [[0.0], [0.1], [1.0], [1.1]], [0, 0, 3, 3]
    >>> model = LokiClassifier(estimator=KNeighborsClassifier(4), label_metric=metric).fit(X, y)
    >>> model.predict_from_proba([[0.6, 0.4]])
    array([1])
    """

    def __init__(
        self,
        *,
        estimator: Any = None,
        label_metric: LabelMetric | None = None,
        observed: ArrayLike | None = None,
        candidates: str | ArrayLike = "all",
        temperature: float | str = 1.0,
        validation_fraction: float = 0.2,
        prefit: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.label_metric = label_metric
        self.observed = observed
        self.candidates = candidates
        self.temperature = temperature
        self.validation_fraction = validation_fraction
        self.prefit = prefit
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike) -> LokiClassifier:
        """Fit the estimator on the labelled rows ``X``, ``y (n,)`` of the observed classes, and return self."""
        if y is None:
            raise InputError("y", got="None", expected="requires y to be passed, but the target y is None")
        check_consistent_length(X, y)
        names = column_or_1d(y, warn=True)
        y = check_labels(names, len(names))
        check_classification_targets(y)
        if self.label_metric is not None and not isinstance(self.label_metric, LabelMetric):
            raise InputError("label_metric", got=type(self.label_metric).__name__, expected="a LabelMetric")
        rows, labels = self._fit_estimator(X, y)
        known = self.estimator_.classes_
        self.label_metric_ = _discrete(known) if self.label_metric is None else self.label_metric
        if self.observed is None:
            self.observed_ = self.label_metric_.index(known, "y")
        else:
            self.observed_ = self.label_metric_.distinct(self.observed)
            if len(self.observed_) != len(known):
                raise InputError("observed", got=f"{len(self.observed_)} ids", expected=f"{len(known)}, one per class")
        if len(self.observed_) == 1:
            warnings.warn("one observed class: every prediction will be that class", UserWarning, stacklevel=2)
        self.candidates_ = self._candidate_ids()
        self.classes_ = self.label_metric_.labels[self.candidates_]
        self.sq_dist_ = self._searched_distances()
        self._calibrate(rows, labels)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the names ``(n,)`` of the predicted labels, some of which may never have been trained."""
        check_is_fitted(self)
        return self.predict_from_proba(self.estimator_.predict_proba(X))

    def predict_from_proba(self, P: ArrayLike) -> np.ndarray:
        """Return the names ``(n,)`` of the Frechet means of rows ``P (n, K)``, columns as in ``observed_``."""
        return self.label_metric_.labels[self.spread_from_proba(P)[0]]

    def spread_from_proba(self, P: ArrayLike) -> tuple[IntArray, FloatArray]:
        """Return predicted ids (n,) and the squared label distance (n,) that calibrated rows ``P (n, K)`` expect."""
        check_is_fitted(self)
        weights = self._weights(P)
        if self.sq_dist_ is not None:
            found, variance = frechet_mean(weights, self.sq_dist_, return_variance=True)
            return self.candidates_[found], variance
        every = len(self.candidates_) == len(self.label_metric_)
        candidates = None if every else self.candidates_
        return label_means(weights, self.label_metric_, self.observed_, candidates=candidates)

    def confidence(self, X: Any) -> FloatArray:
        """Return ``1 / (1 + v)`` in (0, 1] for rows X, ``v`` the expected squared label distance of the prediction."""
        check_is_fitted(self)
        return 1 / (1 + self.spread_from_proba(self.estimator_.predict_proba(X))[1])

    def decision_function(self, X: Any) -> FloatArray:
        """Return minus the expected squared distance ``(n, M)`` to each of ``classes_``; O(n M) memory.

        With two classes, by scikit-learn's convention, the difference ``(n,)`` in favour of the second.
        """
        check_is_fitted(self)
        weights = self._weights(self.estimator_.predict_proba(X))
        table, metric = self.sq_dist_, self.label_metric_
        chosen = weights @ table if table is not None else metric.variances(weights, self.observed_, self.candidates_)
        scores: FloatArray = -chosen
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    @available_if(lambda self: hasattr(self.estimator_, "n_features_in_"))
    def _width(self) -> int:
        return int(self.estimator_.n_features_in_)

    @property
    def n_features_in_(self) -> int:
        """Number of features that the fitted estimator saw."""
        return self._width()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        estimator = KNeighborsClassifier() if self.estimator is None else self.estimator
        if hasattr(estimator, "__sklearn_tags__"):  # a fitted model from elsewhere may have none
            tags.input_tags.sparse = get_tags(estimator).input_tags.sparse
            tags.input_tags.allow_nan = get_tags(estimator).input_tags.allow_nan
        return tags

    def _fit_estimator(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        """Set ``estimator_``; return rows and labels on which a temperature may be fitted (not trained on if it is)."""
        if self.prefit:
            if self.estimator is None or not hasattr(self.estimator, "classes_"):
                raise InputError("estimator", got=repr(self.estimator), expected="a fitted classifier (prefit=True)")
            self.estimator_ = self.estimator
            return X, y
        model = KNeighborsClassifier() if self.estimator is None else clone(self.estimator)
        if not hasattr(model, "predict_proba"):
            raise InputError("estimator", got=type(model).__name__, expected="a classifier with predict_proba")
        if self.temperature != "fit":
            self.estimator_ = model.fit(X, y)
            return X, y
        fraction = check_real(self.validation_fraction, "validation_fraction", low=0, high=1, open_ends=True)
        seed = int(as_generator(self.random_state).integers(2**31 - 1))
        counts = np.unique(y, return_counts=True)[1]
        stratify = y if counts.min() >= 2 and fraction * len(y) >= len(counts) else None
        parts = train_test_split(np.arange(len(y)), test_size=fraction, random_state=seed, stratify=stratify)
        rows, held_out = (np.sort(part) for part in parts)
        self.estimator_ = model.fit(_take(X, rows), y[rows])
        return _take(X, held_out), y[held_out]

    def _candidate_ids(self) -> IntArray:
        if not isinstance(self.candidates, str):
            return check_candidates(self.candidates, len(self.label_metric_))
        check_choice(self.candidates, "candidates", CANDIDATES)
        if self.candidates == "leaves":
            if not isinstance(self.label_metric_, TreeMetric):
                raise InputError("candidates", got="'leaves'", expected="a TreeMetric that has leaves")
            return self.label_metric_.leaves()
        return np.sort(self.observed_) if self.candidates == "observed" else np.arange(len(self.label_metric_))

    def _searched_distances(self) -> FloatArray | None:
        """Return the table of a graph metric, whose rows are too dear to search for again at every call."""
        size = 8 * len(self.observed_) * len(self.candidates_)
        if not isinstance(self.label_metric_, GraphMetric) or size > DISTANCE_BYTES:
            return None
        return self.label_metric_.squared_distances(self.observed_, self.candidates_)

    def _calibrate(self, X: Any, y: np.ndarray) -> None:
        if self.temperature != "fit":
            self.temperature_ = check_real(self.temperature, "temperature", low=0, open_ends=True)
            return
        column = {name: at for at, name in enumerate(self.estimator_.classes_.tolist())}
        rows = np.flatnonzero([name in column for name in y.tolist()])
        if len(rows) == 0:
            raise InputError("y", got="no row of an observed class to fit the temperature on", expected="at least one")
        P = check_weights(self.estimator_.predict_proba(_take(X, rows)), len(self.observed_), "P")
        self.temperature_ = fit_temperature(P, np.array([column[name] for name in y[rows].tolist()]))

    def _weights(self, P: ArrayLike) -> FloatArray:
        weights = check_weights(P, len(self.observed_), "P")
        return weights if self.temperature_ == 1 else apply_temperature(weights, self.temperature_)


def _discrete(classes: np.ndarray) -> MatrixMetric:
    return MatrixMetric(1 - np.eye(len(classes), dtype=np.int8), labels=classes)


def _take(X: Any, rows: IntArray) -> Any:
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if issparse(X):
        return X.tocsr()[rows]
    return np.asarray(X)[rows] if hasattr(X, "__array__") else [X[row] for row in rows]
