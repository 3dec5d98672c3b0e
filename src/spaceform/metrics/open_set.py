"""How well known classes are told apart and unknown ones turned away: AUROC, FPR at a TPR, OSCR."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_labels, check_real
from spaceform.errors import InputError
from spaceform.types import BoolArray, FloatArray


@dataclass(frozen=True)
class OpenSetScores:
    """Open-set figures, each in [0, 1].

    ``accuracy`` on rows of known classes, ``auroc`` of known against unknown rows, ``fpr95`` the share of unknown rows
    that are accepted where 95% of the known ones are, ``oscr`` the area under correct classification over false
    acceptance.
    """

    accuracy: float
    auroc: float
    fpr95: float
    oscr: float

    def to_dict(self) -> dict[str, float]:
        """Return plain values for JSON."""
        return asdict(self)


def auroc(known: ArrayLike, unknown: ArrayLike) -> float:
    """Return the chance that a known row scores above an unknown one, ties counted half.

    ``known (n,)`` and ``unknown (m,)`` are scores of acceptance, larger for known. The area under the ROC curve, by
    ranks (Mann and Whitney). Raises ``InputError`` for empty sides and NaN. O((n + m) log(n + m)).
    """
    accepted, rejected = _scores(known, "known"), np.sort(_scores(unknown, "unknown"))
    below = np.searchsorted(rejected, accepted, side="left") + np.searchsorted(rejected, accepted, side="right")
    return float(below.sum(dtype=np.float64) / (2 * len(accepted) * len(rejected)))


def fpr_at_tpr(known: ArrayLike, unknown: ArrayLike, *, tpr: float = 0.95) -> float:
    """Return the share of unknown rows accepted at the strictest threshold that accepts a share ``tpr`` of the known.

    Scores as in :func:`auroc`; a row is accepted at or above the threshold. O(n log n + m).
    """
    accepted, rejected = np.sort(_scores(known, "known")), _scores(unknown, "unknown")
    check_real(tpr, "tpr", low=0, high=1)
    needed = max(1, int(np.ceil(tpr * len(accepted) - 1e-9)))
    return float((rejected >= accepted[len(accepted) - needed]).mean())


def oscr_curve(known: ArrayLike, correct: ArrayLike, unknown: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return false acceptance ``(k,)`` and correct classification ``(k,)``, both rising, over all thresholds.

    At a threshold, the share of ``unknown`` rows that score at or above it, and the share of known rows that do and are
    ``correct (n,)`` (Dhamija and others, NeurIPS 2018). The first point is (0, 0), the last (1, accuracy).
    O((n + m) log(n + m)).
    """
    accepted, rejected = _scores(known, "known"), _scores(unknown, "unknown")
    right = _mask(correct, len(accepted))
    thresholds = np.unique(np.concatenate([accepted, rejected]))[::-1]
    false = _share_at(rejected, thresholds)
    true = _share_at(accepted[right], thresholds) * (right.sum() / len(right)) if right.any() else 0 * false
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])


def oscr(known: ArrayLike, correct: ArrayLike, unknown: ArrayLike) -> float:
    """Return the area under the curve of :func:`oscr_curve` by trapezia, in [0, accuracy].

    With every known row correct it is the AUROC. O((n + m) log(n + m)).
    """
    return float(np.trapezoid(*oscr_curve(known, correct, unknown)[::-1]))


def open_set_scores(y_true: ArrayLike, y_pred: ArrayLike, score: ArrayLike, *, unknown: int = -1) -> OpenSetScores:
    """Return all figures at once.

    ``y_true (n,)`` are true labels, ``unknown`` for rows of unknown classes; ``y_pred (n,)`` the known class that is
    nearest (not the decision to reject, which ``score (n,)`` makes: larger accepts). Raises ``InputError`` when known
    or unknown rows are missing. O(n log n).
    """
    scores = _scores(score, "score")
    true, predicted = check_labels(y_true, len(scores), "y_true"), check_labels(y_pred, len(scores), "y_pred")
    known = true != unknown
    if known.all() or not known.any():
        raise InputError("y_true", got="no unknown rows" if known.all() else "no known rows", expected="both kinds")
    right = (true == predicted)[known]
    sides = scores[known], scores[~known]
    return OpenSetScores(
        accuracy=float(right.mean()),
        auroc=auroc(*sides),
        fpr95=fpr_at_tpr(*sides),
        oscr=oscr(sides[0], right, sides[1]),
    )


def _share_at(scores: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Return the share of scores at or above each threshold."""
    below: FloatArray = np.searchsorted(np.sort(scores), thresholds, side="left") / len(scores)
    return 1 - below


def _scores(values: ArrayLike, name: str) -> FloatArray:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or len(scores) == 0 or np.isnan(scores).any():
        what = "NaN" if np.isnan(scores).any() else f"shape {scores.shape}"
        raise InputError(name, got=what, expected="at least one score per row, of shape (n,)")
    return scores


def _mask(values: ArrayLike, n: int) -> BoolArray:
    mask = np.asarray(values)
    if mask.dtype != np.bool_ or mask.shape != (n,):
        raise InputError("correct", got=f"{mask.dtype} of shape {mask.shape}", expected=f"a boolean mask ({n},)")
    return mask
