"""Can the head of one space read the other: as it is, through a map, in relative coordinates?"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from spaceform.clustering.anchors import select_anchors
from spaceform.clustering.kmeans import assign_nearest
from spaceform.heads.alignment import fit_linear_map, fit_rigid_map
from spaceform.heads.relative import relative_projection
from spaceform.rng import as_generator, derive_seed
from spaceform.types import BoolArray, FloatArray, IntArray
from spaceform.workflows.comparing.measures import Ground
from spaceform.workflows.comparing.pairing import Pairs

LINEAR_CLASSES = 64
"""Up to so many classes the head is a logistic regression; beyond, nearest class means."""

ANCHORS = 300
"""Anchor rows of relative coordinates: the number of the paper's word vectors."""

WAYS = ("own", "absolute", "rigid", "linear", "relative", "shuffled")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Accuracy of a head on rows that neither it nor a map has seen, in [0, 1]; None where a way does not exist.

    ``own``: on its own space; ``absolute``: on the other's vectors as they are (equal widths only); ``rigid``,
    ``linear``: on them after that map; ``relative``: a head on closeness to anchors, reading the other's; ``shuffled``:
    the rigid map fitted on wrong pairs, what chance gives. ``other``: the other space's own head on its vectors.
    """

    head: str
    classes: int
    rows: int
    own: float
    other: float
    absolute: float | None
    rigid: float
    linear: float
    relative: float
    shuffled: float
    kind: str = field(default="logistic regression")

    @property
    def away(self) -> str:
        """The space that is read."""
        return "A" if self.head == "B" else "B"

    @property
    def kept(self) -> float:
        """The share of what the head reads beyond chance in its own space that a rigid map keeps."""
        return (self.rigid - self.shuffled) / max(self.own - self.shuffled, 1e-9)


def read_both(pairs: Pairs, ground: Ground, kept: BoolArray, *, seed: int) -> list[Reading]:
    """Return how B's head reads A, and A's head B; nothing without two classes that have rows in both halves."""
    if pairs.labels is None:
        return []
    named = np.array([name is not None for name in pairs.labels])
    fitted, judged = ground.halves[0]
    fitted = fitted[(named & kept)[fitted]]
    judged = judged[named[judged]]
    judged = judged[np.isin(pairs.labels[judged].astype(str), pairs.labels[fitted].astype(str))]
    if len(np.unique(pairs.labels[fitted].astype(str))) < 2 or not len(judged):
        return []
    y = pairs.labels.astype(str)
    raw = (pairs.A, pairs.B) if pairs.A.shape[1] == pairs.B.shape[1] else None
    slim = ground.slim_a, ground.slim_b
    return [
        _read(_View("A", *slim, raw), y, fitted, judged, seed),
        _read(_View("B", *slim[::-1], raw[::-1] if raw else None), y, fitted, judged, seed),
    ][::-1]


@dataclass(frozen=True, eq=False)
class _View:
    """The space of the head (``home``), the one it is to read (``away``), and both as they are where widths agree."""

    head: str
    home: FloatArray
    away: FloatArray
    raw: tuple[FloatArray, FloatArray] | None


def _read(view: _View, y: np.ndarray, fitted: IntArray, judged: IntArray, seed: int) -> Reading:
    home, away = view.home, view.away
    many = len(np.unique(y[fitted])) > LINEAR_CLASSES
    own = _Head(home[fitted], y[fitted], many=many)

    def right(head: _Head, rows: FloatArray) -> float:
        return float((head.predict(rows) == y[judged]).mean())

    rng = as_generator(derive_seed(seed, "reading", view.head))
    wrong = rng.permutation(fitted)
    anchors = fitted[select_anchors(home[fitted], min(ANCHORS, len(fitted)), random_state=rng)]
    here, there = (relative_projection(X, X[anchors]) for X in (home, away))
    absolute = None
    if view.raw is not None:
        absolute = right(_Head(view.raw[0][fitted], y[fitted], many=many), view.raw[1][judged])
    return Reading(
        head=view.head,
        classes=len(np.unique(y[fitted])),
        rows=len(judged),
        own=right(own, home[judged]),
        other=right(_Head(away[fitted], y[fitted], many=many), away[judged]),
        absolute=absolute,
        rigid=right(own, fit_rigid_map(away[fitted], home[fitted])(away[judged])),
        linear=right(own, fit_linear_map(away[fitted], home[fitted])(away[judged])),
        relative=right(_Head(here[fitted], y[fitted], many=many), there[judged]),
        shuffled=right(own, fit_rigid_map(away[wrong], home[fitted])(away[judged])),
        kind="nearest class means" if many else "logistic regression",
    )


class _Head:
    """Logistic regression on columns brought to one spread, or nearest class means where there are many classes."""

    def __init__(self, X: FloatArray, y: np.ndarray, *, many: bool) -> None:
        self.names, codes = np.unique(y, return_inverse=True)
        self.model: Any = None
        if many:
            sums = np.zeros((len(self.names), X.shape[1]))
            np.add.at(sums, codes, X)
            self.means = sums / np.bincount(codes)[:, None]
            return
        self.scaler = StandardScaler().fit(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model = LogisticRegression(max_iter=200).fit(self.scaler.transform(X), codes)

    def predict(self, X: FloatArray) -> np.ndarray:
        if self.model is None:
            return self.names[assign_nearest(X, self.means)[0]]
        return self.names[self.model.predict(self.scaler.transform(X))]
