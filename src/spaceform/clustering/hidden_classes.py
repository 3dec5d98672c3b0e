"""Tuning discovery without a novel label: hide known classes and score on those (Troisemaine et al., section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.utils.metaestimators import available_if

from spaceform.checks import check_integer, check_partial_labels, check_rows
from spaceform.clustering.partial import UNLABELLED, read_partial
from spaceform.errors import InputError
from spaceform.ops.assignment import agreement
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, Progress, RandomState, no_progress


@final
@dataclass(frozen=True, kw_only=True)
class HiddenClassSplit:
    """Folds of partial labels in each of which another combination of known classes is hidden.

    Parameters: ``n_hidden`` classes per fold, at least 2 unless given otherwise (one class is always clustered
    right), None for a quarter of the known ones; ``n_splits`` folds; ``random_state``. The paper names neither number.

    >>> split = HiddenClassSplit(n_hidden=1, n_splits=2, random_state=0)
    >>> [(masked.tolist(), rows.tolist()) for masked, rows in split.split([4, 5, 6, -1])]
    [([4, 5, -1, -1], [2]), ([-1, 5, 6, -1], [0])]
    """

    n_hidden: int | None = None
    n_splits: int = 3
    random_state: RandomState = None

    def split(self, y: ArrayLike) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield ``(y_masked (n,), hidden_rows)``: labels with the hidden classes at -1 too, and which rows these are.

        Truly unlabelled rows stay -1 and are in no ``hidden_rows``: they train, but are never scored. Combinations
        differ between folds. Raises ``InputError`` when no class would be left, or for more folds than combinations.
        """
        labels = check_partial_labels(y, len(np.asarray(y)))
        classes = np.unique(labels[labels >= 0])
        if len(classes) == 0:
            raise InputError("y", got="no labelled row", expected="some rows with a label >= 0")
        for hidden in self._choose(len(classes)):
            rows = np.flatnonzero(np.isin(labels, classes[list(hidden)]))
            masked = labels.copy()
            masked[rows] = UNLABELLED
            yield masked, rows

    def get_n_splits(self) -> int:
        """Return the number of folds."""
        return self.n_splits

    def _choose(self, n_classes: int) -> list[tuple[int, ...]]:
        size = max(2, n_classes // 4) if self.n_hidden is None else check_integer(self.n_hidden, "n_hidden", low=1)
        if size >= n_classes:
            expected = f"fewer than the {n_classes} known classes"
            raise InputError("n_hidden", got=size, expected=expected, remedy="label more classes")
        total = comb(n_classes, size)
        check_integer(self.n_splits, "n_splits", low=1, high=total)
        rng = as_generator(self.random_state)
        if total <= 10 * self.n_splits:
            every = list(combinations(range(n_classes), size))
            return [every[index] for index in rng.permutation(total)[: self.n_splits]]
        chosen: dict[tuple[int, ...], None] = {}
        while len(chosen) < self.n_splits:
            chosen[tuple(sorted(rng.permutation(n_classes)[:size].tolist()))] = None
        return list(islice(chosen, self.n_splits))


def _best_has(name: str) -> Any:
    return available_if(lambda search: hasattr(getattr(search, "best_estimator_", search.estimator), name))


@final
class HiddenClassSearchCV(MetaEstimatorMixin, BaseEstimator):
    """Random search over settings of a discovery estimator, scored on known classes that were hidden from it.

    For every candidate and fold the estimator is fitted on the remaining known classes, with hidden and truly novel
    rows together as the unlabelled ones. The hidden rows are then clustered, and the score is their Hungarian
    accuracy; no novel label exists here, and novel rows are not scored. The best mean over folds is refitted on all.

    Parameters
    ----------
    estimator : any estimator with ``fit(X, y)`` where -1 marks unlabelled rows. One with ``discover(X, n_novel)``
        clusters the hidden rows by themselves; of others ``labels_`` of the joint clustering is taken.
    param_distributions : parameter -> list of values, or distribution with ``rvs``.
    n_iter : candidates; all of them when lists hold fewer.
    cv : HiddenClassSplit, None for its defaults with this ``random_state``.
    estimate_n : the number of hidden classes is estimated in each fold too, as it will be for the novel ones
        (section 6); else it is given.
    refit : fit the best setting on all rows.
    random_state : seed of candidates and folds; the estimator has its own.

    Attributes
    ----------
    best_params_, best_score_, best_index_, best_estimator_.
    cv_results_ : dict with ``params``, ``mean_score``, ``std_score``, ``split_scores`` (n_candidates, n_splits) and
        ``n_found``, the number of clusters that each fold was cut into.

    Raises
    ------
    InputError as HiddenClassSplit, for an empty search and whatever the estimator refuses.

    Notes
    -----
    O(candidates * folds) fits. The fewer settings an estimator has, the less it can fit the hidden classes.

    Examples
    --------
    >>> from spaceform.clustering.ncd import NCDKMeans
    >>> X = np.repeat([[0.0], [5.0], [9.0], [20.0]], 3, axis=0)
    >>> y = np.repeat([0, 1, 2, -1], 3)
    >>> search = HiddenClassSearchCV(
    ...     estimator=NCDKMeans(n_novel=1, random_state=0), param_distributions={"init_power": [1, 2]}, random_state=0
    ... )
    >>> search.fit(X, y).best_score_
    1.0
    """

    def __init__(
        self,
        *,
        estimator: Any,
        param_distributions: Mapping[str, Any],
        n_iter: int = 20,
        cv: HiddenClassSplit | None = None,
        estimate_n: bool = False,
        refit: bool = True,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.cv = cv
        self.estimate_n = estimate_n
        self.refit = refit
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike, *, progress: Progress = no_progress) -> HiddenClassSearchCV:
        """Try the candidates on rows ``X (n, d)`` with partial labels ``y (n,)``, refit the best, return self."""
        rows = check_rows(self, X, fitting=True)
        partial = read_partial(y, len(rows), need_known=True, need_unlabelled=False)
        seed = int(as_generator(self.random_state).integers(2**31))
        candidates = self._candidates(seed)
        cv = HiddenClassSplit(random_state=seed) if self.cv is None else self.cv
        folds = list(cv.split(np.asarray(y)))
        scores, found = np.empty((len(candidates), len(folds))), np.empty((len(candidates), len(folds)), np.int64)
        for number, params in enumerate(candidates):
            for fold, (masked, hidden) in enumerate(folds):
                labels = self._cluster_hidden(params, rows, masked, hidden, len(np.unique(partial.codes[hidden])))
                scores[number, fold] = agreement(partial.codes[hidden], labels)
                found[number, fold] = len(np.unique(labels))
                figures = {"best accuracy": float(scores[:number].mean(1).max())} if number else {}
                progress("hidden classes", number * len(folds) + fold + 1, len(candidates) * len(folds), figures)
        means = scores.mean(1)
        self.best_index_ = int(means.argmax())
        self.best_params_, self.best_score_ = candidates[self.best_index_], float(means[self.best_index_])
        self.cv_results_ = {
            "params": candidates,
            "mean_score": means,
            "std_score": scores.std(1),
            "split_scores": scores,
            "n_found": found,
        }
        if self.refit:
            self.best_estimator_ = clone(self.estimator).set_params(**self.best_params_).fit(rows, y)
        return self

    @_best_has("predict")
    def predict(self, X: Any) -> IntArray:
        """Return the novel class of every row by the refitted estimator."""
        rows = check_rows(self, X, fitting=False)
        found: IntArray = self._refitted().predict(rows)
        return found

    @_best_has("transform")
    def transform(self, X: Any) -> FloatArray:
        """Return the latent rows of the refitted estimator."""
        rows = check_rows(self, X, fitting=False)
        latent: FloatArray = self._refitted().transform(rows)
        return latent

    @property
    def labels_(self) -> IntArray:
        """The novel classes that the refitted estimator found in the training rows."""
        labels: IntArray = self._refitted().labels_
        return labels

    def _refitted(self) -> Any:
        if not hasattr(self, "best_estimator_"):
            raise AttributeError("best_estimator_: there is none before fit, or with refit=False")
        return self.best_estimator_

    def _candidates(self, seed: int) -> list[dict[str, Any]]:
        check_integer(self.n_iter, "n_iter", low=1)
        if not self.param_distributions:
            raise InputError("param_distributions", got="nothing", expected="parameters with their candidates")
        lists = all(not hasattr(values, "rvs") for values in self.param_distributions.values())
        limit = len(ParameterGrid(dict(self.param_distributions))) if lists else self.n_iter
        sampler = ParameterSampler(dict(self.param_distributions), min(self.n_iter, limit), random_state=seed)
        return [dict(params) for params in sampler]

    def _cluster_hidden(
        self, params: Mapping[str, Any], rows: FloatArray, masked: IntArray, hidden: IntArray, n_hidden: int
    ) -> IntArray:
        """Return the clusters (len(hidden),) that the estimator makes of the hidden rows."""
        model = clone(self.estimator).set_params(**params)
        if hasattr(model, "discover"):
            model.set_params(n_novel=n_hidden).fit(rows, masked)
            count = model.estimate_n_novel(rows[hidden]).best if self.estimate_n else n_hidden
            own: IntArray = model.discover(rows[hidden], count)
            return own
        beside = self.estimator.get_params().get("n_novel")
        model.set_params(n_novel=None if self.estimate_n or beside is None else beside + n_hidden)
        joint: IntArray = np.asarray(model.fit(rows, masked).labels_)[hidden]
        return joint
