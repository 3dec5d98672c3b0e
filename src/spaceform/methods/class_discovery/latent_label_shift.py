"""Classes from the shift of their shares between domains: DDFA (Roberts, Mani, Garg and Lipton, NeurIPS 2022)."""

from __future__ import annotations

import warnings
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from torch import nn

from spaceform.checks import check_choice, check_integer, check_labels, check_rows, label_codes
from spaceform.clustering.kmeans import assign_nearest, kmeans
from spaceform.clustering.latent_shift import (
    FACTORIZERS,
    SOLVERS,
    adjust_posterior,
    domain_counts,
    factorize_domain_counts,
)
from spaceform.encoders.classifier import EarlyStoppedClassifier
from spaceform.errors import InputError
from spaceform.nets.inputs import check_inputs
from spaceform.rng import as_generator, derive_seed
from spaceform.samplers.label_shift import make_latent_label_shift
from spaceform.types import FloatArray, IntArray, Progress, RandomState, no_progress

__all__ = [
    "EarlyStoppedClassifier",
    "LatentLabelShift",
    "adjust_posterior",
    "domain_counts",
    "factorize_domain_counts",
    "make_latent_label_shift",
]

CLUSTERS_PER_CLASS = 3
"""The paper's m for networks without pretraining: 30 clusters for 10 classes, 60 for 20."""

ILL_CONDITIONED = 1e3
CHANCE = 0.01
"""A domain classifier whose cross entropy lies less than this below log r has found no shift."""

SUM_TOLERANCE = 1e-3


@final
class LatentLabelShift(TransformerMixin, ClusterMixin, BaseEstimator):
    """Discriminate, discretize, factorize, adjust: classes of unlabelled rows that come from several domains.

    The share of each class differs between the domains, what a class looks like does not. A classifier of the domain
    maps rows of one class to one point ``q(d|x)`` of the simplex, however unlike they look. k-means finds these points,
    a non-negative factorisation ``p(c|d) = sum_y p(c|y) p(y|d)`` of their counts gives the class shares, and Bayes'
    rule ``p_d(y|x) ~ q(d|y) q(y|x)`` with ``q(d|x) = sum_y q(d|y) q(y|x)`` the class of each row.

    Parameters
    ----------
    n_classes : k, known beforehand, at least 2.
    n_clusters : m >= k; None for 3 k (or as many as there are rows).
    discriminator : classifier of domains: any scikit-learn classifier with ``predict_proba`` (cloned), a
        ``torch.nn.Module`` with one output per domain, None for :class:`EarlyStoppedClassifier`, or "precomputed" when
        ``X`` is already ``q(d|x)``, columns in sorted order of the domains, all domains weighing alike.
    solver : "nnls" or "pinv" (the paper's); factorizer : "nmf" (the paper's) or "spa". See :func:`adjust_posterior` and
        :func:`factorize_domain_counts`.
    n_init : restarts of k-means and NMF (the released code has 5 of k-means).
    allow_underdetermined : go on with fewer domains than classes, which can't be told apart then.
    random_state : seed, also of a discriminator that has none.

    Attributes
    ----------
    domains_ : (r,) names, sorted. class_prior_ : (r, k) ``p_d(y)``. domain_given_class_ : (r, k) ``q(d|y)``.
    cluster_given_class_ : (m, k). cluster_centers_ : (m, r) in the simplex. labels_ : (n,) class 0..k-1 of the rows.
    discriminator_ : fitted classifier of domain numbers, None for "precomputed".

    Raises
    ------
    InputError : NaN, unequal lengths, fewer domains than classes, fewer clusters than classes, precomputed rows that
    are negative or do not sum to 1, domains that ``fit`` did not see. Warns when the shares do not tell classes apart
    (condition number above 1,000), a class is empty, or the domains can't be predicted (cross entropy near log r or
    above, as that of an overconfident classifier).

    Cost: the discriminator, then O(n m r) per round of k-means. Traps: classes are named up to a permutation; every
    class needs rows that no other class could have; a discriminator that remembers its rows makes clusters of domains,
    so stop its training by held-out rows.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> y, domains = np.repeat([0, 1, 0, 1], [90, 10, 10, 90]), np.repeat(["Lima", "Oslo"], 100)
    >>> X = 6 * y[:, None] + rng.normal(size=(200, 2))
    >>> settings = {"n_classes": 2, "n_clusters": 2, "factorizer": "spa", "random_state": 0}
    >>> model = LatentLabelShift(discriminator=LogisticRegression(), **settings)
    >>> np.sort(model.fit(X, domains).class_prior_.round(1), axis=1)
    array([[0.1, 0.9],
           [0.1, 0.9]])
    """

    def __init__(
        self,
        *,
        n_classes: int,
        n_clusters: int | None = None,
        discriminator: Any = None,
        solver: str = "nnls",
        factorizer: str = "nmf",
        n_init: int = 5,
        allow_underdetermined: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.n_classes = n_classes
        self.n_clusters = n_clusters
        self.discriminator = discriminator
        self.solver = solver
        self.factorizer = factorizer
        self.n_init = n_init
        self.allow_underdetermined = allow_underdetermined
        self.random_state = random_state

    def fit(self, X: Any, domains: ArrayLike | None = None, *, progress: Progress = no_progress) -> Self:
        """Learn from rows ``X`` and the domain ``(n,)`` of each (integer -1: unknown, answered only); return self.

        ``X`` are vectors ``(n, d)`` or, where the discriminator takes them, pictures.
        """
        inputs = self._inputs(X, fitting=True)
        if domains is None:
            got = "None: this estimator requires y to be passed, but the target y is None"
            raise InputError(
                "domains", got=got, expected="the domain of each row", remedy="name the column with --label"
            )
        self.domains_, codes = label_codes(check_labels(domains, len(inputs), "y"))
        known = codes >= 0
        k, m = self._check(int(known.sum()))
        seed = int(as_generator(self.random_state).integers(2**31))
        self._discriminate(inputs[known], codes[known], seed, progress)
        q_d_given_x = self._posterior(inputs)
        found = kmeans(
            q_d_given_x[known], m, n_init=self.n_init, max_iter=100, random_state=derive_seed(seed, "clusters")
        )
        counts = domain_counts(found.labels, codes[known], n_clusters=m, n_domains=len(self.domains_))
        self.cluster_given_class_, shares = factorize_domain_counts(
            counts, k, factorizer=self.factorizer, n_init=self.n_init, random_state=derive_seed(seed, "factors")
        )
        self.cluster_centers_, self.class_prior_ = found.centers, shares.T
        self.domain_given_class_ = self.class_prior_ / np.maximum(self.class_prior_.sum(0), 1e-8)
        condition = np.linalg.cond(shares)
        if condition > ILL_CONDITIONED:
            _warn(f"the class shares of the domains hardly differ (condition number {condition:.2g})")
        self.labels_: IntArray = adjust_posterior(q_d_given_x, shares, domains=codes, solver=self.solver).argmax(1)
        return self

    def fit_predict(self, X: Any, y: ArrayLike | None = None) -> IntArray:
        """Fit on rows and their domains and return ``labels_``."""
        return self.fit(X, y).labels_

    def predict_proba(self, X: Any, domains: ArrayLike | None = None) -> FloatArray:
        """Return ``p_d(y|x) (n, k)``; without ``domains``, or where one is -1, for a row from all domains alike."""
        q_d_given_x = self.transform(X)
        codes = None if domains is None else self._codes(domains, len(q_d_given_x))
        return adjust_posterior(q_d_given_x, self.class_prior_.T, domains=codes, solver=self.solver)

    def predict(self, X: Any, domains: ArrayLike | None = None) -> IntArray:
        """Return the most probable class ``0..k-1`` of every row."""
        classes: IntArray = self.predict_proba(X, domains).argmax(1)
        return classes

    def transform(self, X: Any) -> FloatArray:
        """Return ``q(d|x) (n, r)``, the space in which rows of a class lie together."""
        check_is_fitted(self, "class_prior_")
        return self._posterior(self._inputs(X, fitting=False))

    def predict_cluster(self, X: Any) -> IntArray:
        """Return the nearest of the m clusters of every row."""
        return assign_nearest(self.transform(X), self.cluster_centers_)[0]

    def __sklearn_tags__(self) -> Tags:
        """Say that domains are needed."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _inputs(self, X: Any, *, fitting: bool) -> np.ndarray:
        if np.ndim(X) in {3, 4} and not hasattr(X, "columns"):
            pictures = check_inputs(X)
            if fitting:
                self.n_features_in_ = int(np.prod(pictures.shape[1:]))
            return pictures
        return check_rows(self, X, fitting=fitting)

    def _check(self, rows: int) -> tuple[int, int]:
        """Validate the parameters against ``rows`` of known domain and return k and m."""
        k, r = check_integer(self.n_classes, "n_classes", low=2), len(self.domains_)
        if r < (2 if self.allow_underdetermined else k):
            remedy = "ask for fewer classes, or set allow_underdetermined" if r > 1 else ""
            raise InputError("y", got=f"{r} domain(s)", expected=f"at least {k}, one per class", remedy=remedy)
        check_choice(self.solver, "solver", SOLVERS)
        check_choice(self.factorizer, "factorizer", FACTORIZERS)
        m = min(CLUSTERS_PER_CLASS * k, max(k, rows)) if self.n_clusters is None else self.n_clusters
        check_integer(m, "n_clusters", low=k)
        if rows < m:
            raise InputError("X", got=f"{rows} sample(s) of known domain", expected=f"at least {m}, one per cluster")
        return k, m

    def _codes(self, domains: ArrayLike, n: int) -> IntArray:
        """Return the numbers of ``domains`` (-1: unknown); other names raise ``InputError``."""
        names, local = label_codes(check_labels(domains, n, "domains"))
        unseen = names[~np.isin(names, self.domains_)]
        if len(unseen):
            raise InputError("domains", got=f"{unseen[0]!r}", expected=f"one of the {len(self.domains_)} seen in fit")
        numbers = np.append(np.searchsorted(self.domains_, names), -1)
        return numbers[local].astype(np.int64)

    def _discriminate(self, inputs: np.ndarray, codes: IntArray, seed: int, progress: Progress) -> None:
        """Fit the classifier of domains so that all domains weigh alike, by weights or by Bayes' rule afterwards."""
        weights = len(codes) / (len(self.domains_) * np.bincount(codes))
        self._tilt = np.ones(len(self.domains_))
        if isinstance(self.discriminator, str):
            check_choice(self.discriminator, "discriminator", ("precomputed",))
            self.discriminator_ = None
        else:
            model = self._new_discriminator(seed)
            given: dict[str, Any] = {"progress": progress} if isinstance(model, EarlyStoppedClassifier) else {}
            if has_fit_parameter(model, "sample_weight"):
                given["sample_weight"] = weights[codes]
            else:
                self._tilt = weights
            self.discriminator_ = model.fit(inputs, codes, **given)
        loss = getattr(self.discriminator_, "validation_loss_", None)
        if loss is None:
            own = self._posterior(inputs)[np.arange(len(codes)), codes]
            loss = np.average(-np.log(np.maximum(own, 1e-12)), weights=weights[codes])
        if loss > np.log(len(self.domains_)) - CHANCE:
            _warn("the discriminator predicts domains no better than chance: without a shift there is nothing to learn")

    def _new_discriminator(self, seed: int) -> Any:
        state = derive_seed(seed, "discriminator") % 2**31
        if self.discriminator is None:
            return EarlyStoppedClassifier(random_state=state)
        if isinstance(self.discriminator, nn.Module):
            return EarlyStoppedClassifier(net=self.discriminator, random_state=state)
        if not (hasattr(self.discriminator, "fit") and hasattr(self.discriminator, "predict_proba")):
            expected = "a classifier with predict_proba, a torch module, None or 'precomputed'"
            raise InputError("discriminator", got=type(self.discriminator).__name__, expected=expected)
        model = clone(self.discriminator)
        if model.get_params(deep=False).get("random_state", 0) is None:
            model.set_params(random_state=state)
        return model

    def _posterior(self, inputs: np.ndarray) -> FloatArray:
        """Return ``q(d|x) (n, r)`` float64; rows sum to 1."""
        r = len(self.domains_)
        if self.discriminator_ is None:
            rows = inputs.astype(np.float64)
            if rows.shape[1:] != (r,) or rows.min() < 0 or np.abs(rows.sum(1) - 1).max() > SUM_TOLERANCE:
                got = f"shape {rows.shape}, entries from {rows.min():.3g}, sums to {rows.sum(1).max():.3g}"
                raise InputError("X", got=got, expected=f"probabilities of {r} domains that sum to 1 in each row")
        else:
            rows = np.asarray(self.discriminator_.predict_proba(inputs), dtype=np.float64) * self._tilt
        return np.asarray(rows / rows.sum(1, keepdims=True))


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)
