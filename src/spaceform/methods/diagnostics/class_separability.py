"""Class separability without labels (Ghalyan et al., arXiv 2305.15016): a score, its error bar and a training monitor.

Known from the paper's abstracts and one figure caption: embeddings are normalised, the lifetimes of the connected
components of growing balls are divided by the longest, a score of them follows supervised separability, and its
plateau tells when fine-tuning may stop. This library's own construction, because the full text was not available: the
statistics, the repeated subsamples of fixed size, the guards against outliers and the stopping rule.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from spaceform.checks import check_choice, check_integer
from spaceform.errors import InputError
from spaceform.metrics.persistence import (
    SCORES,
    estimate_n_components,
    h0_persistence,
    persistence_score,
    subsampled_lifetimes,
)
from spaceform.rng import as_generator
from spaceform.training.separability_monitor import MonitorState, SeparabilityCallback, SeparabilityMonitor
from spaceform.types import FloatArray, RandomState

__all__ = [
    "ClassSeparability",
    "MonitorState",
    "SeparabilityCallback",
    "SeparabilityMonitor",
    "SeparabilityScore",
    "estimate_n_components",
    "h0_persistence",
    "persistence_score",
]


@dataclass(frozen=True, kw_only=True)
class SeparabilityScore:
    """A score with all that another one must share to be compared with it.

    ``value`` is the mean over ``n_repeats`` subsamples of ``sample_size`` rows, ``std`` their standard deviation
    (None for a single one). ``separability`` is larger for better separated rows.
    """

    value: float
    std: float | None
    sample_size: int
    n_repeats: int
    statistic: str
    normalize: str
    min_component_size: int

    @property
    def separability(self) -> float:
        """``1 - value``; for ``gap``, which grows with separation, the value itself."""
        return self.value if self.statistic == "gap" else 1 - self.value

    def difference(self, other: SeparabilityScore) -> tuple[float, float | None]:
        """Return how much more separable this is than ``other``, and the standard deviation of that.

        Raises ``InputError`` unless both used the same sample size, statistic and normalisation: more rows shorten
        the short lifetimes but not the longest, so scores at different sizes say nothing about each other.
        """
        for name in ("sample_size", "statistic", "normalize", "min_component_size"):
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                raise InputError(
                    name, got=f"{ours} and {theirs}", expected="equal values", remedy="score both at one subsample size"
                )
        spread = None if self.std is None or other.std is None else float(np.hypot(self.std, other.std))
        return self.separability - other.separability, spread

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"separability": self.separability}


@final
class ClassSeparability(BaseEstimator):
    """Score how clustered unlabelled rows are by the lifetimes of their components under growing balls.

    ``S = mean_i p_i / max_j p_j`` over the edges ``p`` of a minimum spanning tree, averaged over subsamples of one
    fixed size. Small: a few late merges dwarf the rest, so the rows fall into clusters; ``score`` returns ``1 - S``.

    Parameters
    ----------
    statistic : "mean" (default), "median", "quantile", "trimmed", "entropy" or "gap", see ``persistence_score``.
    normalize : "l2" unit rows (default: the paper's normalised embeddings), "layer" rows of mean 0 and variance 1,
        "none".
    n_subsample : rows per subsample; scores are comparable only at the same number.
    n_repeats : subsamples, whose spread is the error bar; with exactly ``n_subsample`` rows one is all there is.
    min_component_size : components smaller than this can't set the scale, which guards against outliers; 1 is off.
    k_max : most gaps looked at for ``n_components_``.
    random_state : seed of the subsamples.

    Attributes
    ----------
    result_ : SeparabilityScore, which refuses to be compared with scores made otherwise.
    score_, score_std_ : its value and standard deviation (None for one subsample).
    scores_ : (n_repeats,) of the single subsamples.
    persistence_ : (n_repeats, n_subsample - 1) lifetimes, descending, not divided.
    n_components_ : median over subsamples of the number of components before the widest gap. A guess, and never 1.
    n_features_in_ : columns of X.

    Raises
    ------
    InputError for NaN, fewer than 3 rows, fewer rows than ``n_subsample``, zero rows under "l2", and identical rows.

    Notes
    -----
    Known of the paper: normalised embeddings, lifetimes divided by the longest, a score of them that needs no label.
    Construction of this library: the mean as that score, the other statistics, subsamples of one size, the guard
    against outliers and ``n_components_``; don't cite them as the paper's equations.

    O(n_repeats n_subsample^2 d). Traps: one far outlier makes everything look separable (raise
    ``min_component_size``); in 2 or 3 dimensions overlapping classes merge early and the score does not follow
    separability; compare with a column-shuffled copy before believing in clusters.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> blobs = 9 * rng.normal(size=(4, 16))[np.arange(400) % 4] + rng.normal(size=(400, 16))
    >>> model = ClassSeparability(n_subsample=200, random_state=0)
    >>> round(model.fit(blobs).score_, 2), round(model.fit(rng.normal(size=(400, 16))).score_, 2)
    (0.1, 0.86)
    """

    def __init__(
        self,
        *,
        statistic: str = "mean",
        normalize: str = "l2",
        n_subsample: int = 500,
        n_repeats: int = 5,
        min_component_size: int = 1,
        k_max: int = 50,
        random_state: RandomState = None,
    ) -> None:
        self.statistic = statistic
        self.normalize = normalize
        self.n_subsample = n_subsample
        self.n_repeats = n_repeats
        self.min_component_size = min_component_size
        self.k_max = k_max
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> ClassSeparability:
        """Score rows ``X (n, d)``; ``y`` is not looked at."""
        rows = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=3)
        check_choice(self.statistic, "statistic", SCORES)
        self.seed_ = int(as_generator(self.random_state).integers(2**31))
        self.persistence_ = self._lifetimes(rows)
        self.scores_ = np.array([persistence_score(p, self.statistic) for p in self.persistence_])
        self.result_ = self._result(self.scores_)
        self.score_, self.score_std_ = self.result_.value, self.result_.std
        k_max = min(check_integer(self.k_max, "k_max", low=1), self.persistence_.shape[1] - 1)
        self.n_components_ = int(np.median([estimate_n_components(p, k_max) for p in self.persistence_]))
        return self

    def evaluate(self, X: ArrayLike) -> SeparabilityScore:
        """Return the score of other rows under the same settings and subsample numbers."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=3, reset=False)
        return self._result(np.array([persistence_score(p, self.statistic) for p in self._lifetimes(rows)]))

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Return the separability of rows X: larger is better. ``y`` is not looked at."""
        return self.evaluate(X).separability

    def _lifetimes(self, rows: FloatArray) -> FloatArray:
        return subsampled_lifetimes(
            rows,
            n_subsample=self.n_subsample,
            n_repeats=self.n_repeats,
            normalize=self.normalize,
            min_component_size=self.min_component_size,
            random_state=self.seed_,
        )

    def _result(self, scores: FloatArray) -> SeparabilityScore:
        return SeparabilityScore(
            value=float(scores.mean()),
            std=float(scores.std(ddof=1)) if len(scores) > 1 else None,
            sample_size=self.n_subsample,
            n_repeats=len(scores),
            statistic=self.statistic,
            normalize=self.normalize,
            min_component_size=self.min_component_size,
        )
