"""Verification: do two rows show the same class? FaceNet (sections 4 and 5.6) with the protocol of LFW.

At a threshold d the pairs with distance at most d are accepted: ``VAL(d)`` is the share of same pairs accepted,
``FAR(d)`` the share of different pairs accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import NotFittedError

from spaceform.checks import check_choice, check_integer, check_labels, check_matrix, check_real
from spaceform.errors import InputError
from spaceform.ops.pairs import l2_normalize
from spaceform.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Verification:
    """Scores of one set of pairs over folds.

    ``accuracy`` and ``accuracy_std``: mean and standard deviation over folds of the share of right decisions, each fold
    judged with the threshold that is best on the others. ``val`` at ``far``: mean over folds of the share of same pairs
    accepted where at most ``far`` of the other folds' different pairs are; ``far_found`` is the share accepted in
    the fold itself. ``thresholds (n_splits,)`` are those of the accuracy.
    """

    accuracy: float
    accuracy_std: float
    val: float
    far_found: float
    far: float
    thresholds: FloatArray
    fold_accuracies: FloatArray


def pair_distances(first: ArrayLike, second: ArrayLike) -> FloatArray:
    """Return the squared distances ``(p,)`` of unit vectors, pair by pair: 0 equal, 2 orthogonal, 4 opposite.

    ``first`` and ``second (p, d)`` are brought to unit length. Raises ``InputError`` for zero vectors. O(p d).
    """
    a = check_matrix(first, "first")
    b = check_matrix(second, "second", width=a.shape[1])
    if len(a) != len(b):
        raise InputError("second", got=f"{len(b)} rows", expected=f"{len(a)} rows, one per row of first")
    difference = l2_normalize(a, name="first") - l2_normalize(b, name="second")
    return np.einsum("ij,ij->i", difference, difference)


def best_threshold(distances: ArrayLike, same: ArrayLike) -> float:
    """Return the threshold with the largest accuracy; of several best intervals the first, and its middle.

    All thresholds are tried, not a grid: between two neighbouring distances the decisions do not change. Below the
    smallest distance the interval starts at 0; above the largest it ends there. O(p log p).
    """
    return _best(*_checked(distances, same))


def threshold_at_far(distances: ArrayLike, same: ArrayLike, far: float) -> float:
    """Return the largest threshold at which at most ``far`` of the different pairs are accepted.

    It lies just below the distance of the first different pair too many; 0 when that pair has distance 0. Raises
    ``InputError`` for a ``far`` that is smaller than one pair in all different pairs, which nothing could measure.
    """
    values, truth = _checked(distances, same)
    return _at_far(values, truth, far)


def val_at_far(distances: ArrayLike, same: ArrayLike, far: float) -> float:
    """Return the share of same pairs accepted at the largest threshold that accepts at most ``far`` different ones.

    ``distances (p,)``, ``same (p,)`` bool; ``far`` in (0, 1), at least one pair in all different pairs (FaceNet:
    1e-3). Threshold and share come from the same pairs; :func:`verification` keeps them apart. O(p log p).
    """
    values, truth = _checked(distances, same)
    return float((values[truth] <= _at_far(values, truth, far)).mean())


def roc(distances: ArrayLike, same: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ``FAR``, ``VAL`` and the threshold at every distance that occurs, ascending, from (0, 0, 0) on."""
    values, truth = _checked(distances, same)
    thresholds = np.concatenate([[0.0], np.unique(values)])
    far = np.searchsorted(np.sort(values[~truth]), thresholds, side="right") / (~truth).sum()
    val = np.searchsorted(np.sort(values[truth]), thresholds, side="right") / truth.sum()
    far[0] = val[0] = 0.0
    return far, val, thresholds


def verification(
    distances: ArrayLike,
    same: ArrayLike,
    *,
    n_splits: int = 10,
    far: float = 1e-3,
    folds: ArrayLike | None = None,
    protocol: str = "exact",
    random_state: int = 0,
) -> Verification:
    """Judge pairs by ``distances (p,)`` in ``n_splits`` folds; no threshold is chosen on the pairs it judges.

    ``folds (p,)`` integers 0..n_splits-1 names the fold of each pair (LFW fixes them); without it same and different
    pairs are shuffled with ``random_state`` and dealt out evenly. ``far`` is the share of different pairs that may be
    accepted (paper: 1e-3). ``protocol``: ``"exact"`` tries every threshold that can matter; ``"reference"`` is that of
    the public re-implementations: thresholds 0 to 4 in steps of 0.01 for the accuracy, and for ``val`` in steps of
    0.001 with linear interpolation of FAR, or 0 where ``far`` is never reached.

    Raises ``InputError`` for NaN, pairs of one kind only, more folds than pairs of a kind, or a ``far`` below one pair
    in the different pairs of the other folds. O(n_splits p log p).
    """
    values, truth = _checked(distances, same)
    check_choice(protocol, "protocol", ("exact", "reference"))
    choose, choose_at_far = (_best, _at_far) if protocol == "exact" else (_best_of_grid, _interpolated_at_far)
    which = _folds(truth, n_splits, folds, random_state)
    accuracies, vals, fars, thresholds = [], [], [], []
    for fold in range(n_splits):
        test, rest = which == fold, which != fold
        threshold = choose(values[rest], truth[rest])
        accuracies.append(((values[test] <= threshold) == truth[test]).mean())
        thresholds.append(threshold)
        accepted = values[test] <= choose_at_far(values[rest], truth[rest], far)
        vals.append(accepted[truth[test]].mean())
        fars.append(accepted[~truth[test]].mean())
    return Verification(
        accuracy=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies)),
        val=float(np.mean(vals)),
        far_found=float(np.mean(fars)),
        far=far,
        thresholds=np.array(thresholds),
        fold_accuracies=np.array(accuracies),
    )


def kfold_verification(
    first: ArrayLike,
    second: ArrayLike,
    same: ArrayLike,
    *,
    n_splits: int = 10,
    far: float = 1e-3,
    folds: ArrayLike | None = None,
    protocol: str = "exact",
    random_state: int = 0,
) -> Verification:
    """Judge pairs of embeddings ``first`` and ``second (p, d)`` by their squared distance; see :func:`verification`."""
    return verification(
        pair_distances(first, second),
        same,
        n_splits=n_splits,
        far=far,
        folds=folds,
        protocol=protocol,
        random_state=random_state,
    )


@final
class EmbeddingVerifier:
    """Say of pairs whether they are the same: ``distance <= threshold_``. Its rows are single distances, not vectors.

    Parameters: ``far``: None takes the threshold with the best accuracy on the pairs given to ``fit`` (ties: the middle
    of the best interval), a number in (0, 1) the largest threshold that accepts at most this share of different pairs.

    Attributes: ``threshold_`` (FaceNet on LFW: 1.242), ``classes_`` (2,) (the two values given to ``fit``, of which the
    larger means "same"). Raises ``InputError`` for NaN or one kind of pairs. O(p log p).

    >>> verifier = EmbeddingVerifier().fit([0.2, 0.4, 1.6, 2.0], [True, True, False, False])
    >>> float(verifier.threshold_), verifier.predict([0.9, 1.1]).tolist()
    (1.0, [True, False])
    """

    def __init__(self, *, far: float | None = None) -> None:
        self.far = far

    def fit(self, X: ArrayLike, y: ArrayLike) -> EmbeddingVerifier:
        """Choose the threshold from distances ``X (p,)`` (or ``(p, 1)``) and ``y (p,)``, two values, larger is same."""
        distances = _column(X)
        kinds = check_labels(y, len(distances))
        self.classes_ = np.unique(kinds)
        if len(self.classes_) != 2:
            raise InputError(
                "y", got=f"{len(self.classes_)} class(es)", expected="2 values, of which the larger is same"
            )
        same = kinds == self.classes_[1]
        if self.far is None:
            self.threshold_ = best_threshold(distances, same)
        else:
            self.threshold_ = threshold_at_far(distances, same, self.far)
        return self

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Return ``threshold_ - distance`` ``(p,)``: above or at 0 means same."""
        if not hasattr(self, "threshold_"):
            raise NotFittedError("this EmbeddingVerifier has no threshold yet; call fit first")
        return self.threshold_ - _column(X)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return for each distance the value of ``classes_`` ``(p,)``."""
        accepted = self.decision_function(X) >= 0
        return self.classes_[accepted.astype(int)]

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the share of pairs that are judged as ``y (p,)`` says."""
        decisions = self.predict(X)
        return float((decisions == check_labels(y, len(decisions))).mean())


def _column(X: ArrayLike) -> FloatArray:
    array = np.asarray(X)
    if array.ndim == 1:
        array = array[:, None]
    return check_matrix(array, width=1)[:, 0].astype(np.float64)


def _checked(distances: ArrayLike, same: ArrayLike) -> tuple[FloatArray, BoolArray]:
    values = check_matrix(np.asarray(distances)[:, None], "distances", width=1)[:, 0].astype(np.float64)
    truth = check_labels(same, len(values), "same").astype(bool)
    if truth.all() or not truth.any():
        kind = "same" if truth.all() else "different"
        raise InputError("same", got=f"{kind} pairs only", expected="pairs of both kinds")
    if values.min() < 0:
        raise InputError("distances", got=float(values.min()), expected="distances >= 0 (smaller is nearer)")
    return values, truth


def _best(values: FloatArray, truth: BoolArray) -> float:
    order = np.argsort(values, kind="stable")
    ordered, right = values[order], np.where(truth[order], 1, -1)
    # after the k nearest pairs are accepted: same ones among them are right, different ones wrong
    gains = np.concatenate([[0], np.cumsum(right)])
    # equal distances are accepted together, and a distance of 0 by every threshold
    ends = np.concatenate([[ordered[0] > 0], ordered[1:] > ordered[:-1], [True]])
    gains = np.where(ends, gains, gains.min() - 1)
    first = int(gains.argmax())
    upper = float(ordered[first]) if first < len(ordered) else float(ordered[-1])
    lower = 0.0 if first == 0 else float(ordered[first - 1])
    return (lower + upper) / 2


def _best_of_grid(values: FloatArray, truth: BoolArray) -> float:
    grid = np.arange(400) * 0.01
    accepted = np.searchsorted(np.sort(values[truth]), grid, side="right")
    mistaken = np.searchsorted(np.sort(values[~truth]), grid, side="right")
    gains = accepted - mistaken
    first = int(gains.argmax())
    run = np.flatnonzero(gains[first:] != gains[first])
    last = first + (int(run[0]) if len(run) else len(grid) - first) - 1
    return float(grid[first] + grid[last]) / 2


def _interpolated_at_far(values: FloatArray, truth: BoolArray, far: float) -> float:
    different = np.sort(values[~truth])
    check_real(far, "far", low=0, high=1, open_ends=True)
    grid = np.arange(4000) * 0.001
    found = np.searchsorted(different, grid, side="right") / len(different)
    return float(np.interp(far, found, grid)) if found[-1] >= far else 0.0


def _at_far(values: FloatArray, truth: BoolArray, far: float) -> float:
    different = np.sort(values[~truth])
    check_real(far, "far", low=0, high=1, open_ends=True)
    allowed = int(np.floor(far * len(different) + 1e-9))
    if allowed < 1:
        raise InputError(
            "far",
            got=far,
            expected=f"at least {1 / len(different):.3g}, one in {len(different)} different pairs",
            remedy="draw more different pairs",
        )
    if allowed == len(different):
        return float(values.max())
    return max(0.0, float(np.nextafter(different[allowed], 0)))


def _folds(truth: BoolArray, n_splits: int, folds: ArrayLike | None, random_state: int) -> IntArray:
    fewest = int(min(truth.sum(), (~truth).sum()))
    check_integer(n_splits, "n_splits", low=2, high=fewest)
    if folds is not None:
        which = check_labels(folds, len(truth), "folds").astype(np.int64)
        for fold in range(n_splits):
            here = truth[which == fold]
            if not len(here) or here.all() or not here.any():
                raise InputError(
                    "folds", got=f"fold {fold} without both kinds of pairs", expected="pairs of both kinds"
                )
        if which.min() < 0 or which.max() >= n_splits:
            raise InputError("folds", got=f"{which.min()} to {which.max()}", expected=f"0 to {n_splits - 1}")
        return which
    rng = np.random.default_rng(random_state)
    which = np.empty(len(truth), dtype=np.int64)
    for kind in (True, False):
        rows = rng.permutation(np.flatnonzero(truth == kind))
        which[rows] = np.arange(len(rows)) % n_splits
    return which
