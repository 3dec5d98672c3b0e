"""Relative representations (Moschella, Maiorca et al., ICLR 2023): coordinates that different encoders share."""

from __future__ import annotations

import warnings
from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from spaceform.checks import check_choice, check_labels, check_rows
from spaceform.clustering.anchors import Selection, check_row_numbers, select_anchors
from spaceform.errors import InputError
from spaceform.heads.relative import CLOSENESS, RelativeLayer, meaning, relative_projection
from spaceform.metrics.agreement import LatentAgreement, latent_agreement, linear_cka, procrustes_similarity
from spaceform.nets.stitching import (
    AbsoluteModel,
    RelativeModel,
    StitchedModel,
    check_same_coordinates,
    stitch,
    stitching_matrix,
)
from spaceform.ops.pairs import l2_normalize
from spaceform.types import FloatArray, IntArray, RandomState

__all__ = [
    "AbsoluteModel",
    "LatentAgreement",
    "RelativeLayer",
    "RelativeModel",
    "RelativeProjection",
    "StitchedModel",
    "check_same_coordinates",
    "latent_agreement",
    "linear_cka",
    "procrustes_similarity",
    "relative_projection",
    "select_anchors",
    "stitch",
    "stitching_matrix",
]


@final
class RelativeProjection(TransformerMixin, BaseEstimator):
    """Describe rows by their closeness to anchor rows, so that spaces of different encoders can be compared and joined.

    ``r(x)_i = cos(x, a_i)`` for anchors ``a_1..a_m`` (section 3 of the paper). Fit one projection per encoder on the
    SAME anchor items; a head trained on the coordinates of one then works on those of the other.

    Parameters
    ----------
    anchors : row numbers (m,) of the fitted rows, in order; None lets ``selection`` choose.
    n_anchors : how many are chosen (300: the paper's word vectors; 500 for pictures, 768 for sentence encoders).
    selection : "uniform", "stratified" (over ``y``), "fps", "kmeans", or a function, as in ``select_anchors``.
    closeness : "cosine", "angular", "euclidean", "l1", "inner" or "basis", as in ``relative_projection``.
    center, scale : subtract the anchors' mean, divide by their standard deviations (columns that do not vary: 1)
        first. Centring makes the coordinates the same after shifts, too.
    random_state : of the selection.

    Attributes
    ----------
    anchor_indices_ : row numbers (m,) of the anchors: what another encoder's projection must share, order included.
    anchors_ : their vectors (m, d). mean_, scale_ : of the anchors, (d,). coordinates : what the columns mean.

    Raises
    ------
    InputError for NaN, more anchors than rows, repeated or unknown numbers, "stratified" without ``y`` or with fewer
    anchors than classes, and an anchor of length 0 (after centring) under "cosine" and "angular". Warns of equal
    anchors, fewer anchors than classes, and of "basis" with anchors that do not span the space.

    Notes
    -----
    O(n m d) for n rows, and the selection. Traps: without ``center`` a shift changes everything; fewer anchors than
    classes lose classes; anchors of two encoders must be the same items, or pairs of them, in one order.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    >>> first = RelativeProjection(anchors=[0, 1]).fit(X)
    >>> turned = X @ np.array([[0.0, 2.0], [-2.0, 0.0]])  # another encoder: a quarter turn and twice the size
    >>> second = RelativeProjection().fit_from_anchors(turned[[0, 1]], indices=first.anchor_indices_)
    >>> first.transform(X)[2], second.transform(turned)[2]
    (array([0.6, 0.8]), array([0.6, 0.8]))
    """

    def __init__(
        self,
        *,
        anchors: ArrayLike | None = None,
        n_anchors: int = 300,
        selection: str | Selection = "uniform",
        closeness: str = "cosine",
        center: bool = False,
        scale: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.anchors = anchors
        self.n_anchors = n_anchors
        self.selection = selection
        self.closeness = closeness
        self.center = center
        self.scale = scale
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Choose anchors among the rows ``X (n, d)`` (with labels ``y (n,)`` for "stratified") and return self."""
        rows = check_rows(self, X, fitting=True)
        labels = None if y is None else check_labels(y, len(rows))
        if self.anchors is None:
            picks = select_anchors(rows, self.n_anchors, self.selection, y=y, random_state=self.random_state)
        else:
            picks = check_row_numbers(self.anchors, len(rows), "anchors")
        if labels is not None and labels.dtype.kind != "f" and len(picks) < len(np.unique(labels[labels != -1])):
            _warn(f"{len(picks)} anchor(s) for {len(np.unique(labels))} classes lose information")
        return self._learn(rows[picks], picks)

    def fit_from_anchors(self, A: ArrayLike, *, indices: ArrayLike | None = None) -> Self:
        """Take the vectors ``A (m, d)`` of anchors as another encoder gives them, and return self.

        ``indices``: the ``anchor_indices_`` of the first projection, whose items these are (None: 0 to m - 1).
        """
        rows = check_rows(self, A, fitting=True)
        picks = np.arange(len(rows)) if indices is None else check_row_numbers(indices, 2**62, "indices")
        if len(picks) != len(rows):
            raise InputError("A", got=f"{len(rows)} anchors", expected=f"{len(picks)}, one per index")
        return self._learn(rows, picks)

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return the relative coordinates ``(n, m)`` of rows ``X (n, d)``."""
        rows = check_rows(self, X, fitting=False)
        result: FloatArray = relative_projection(
            (rows - self.mean_) / self.scale_, (self.anchors_ - self.mean_) / self.scale_, closeness=self.closeness
        )
        return result

    @property
    def coordinates(self) -> str:
        """What the columns mean, for ``check_same_coordinates``: closeness, and the anchors in their order."""
        check_is_fitted(self)
        return meaning(self.closeness, self.anchor_indices_)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return ``anchor_<row number>`` for each column; ``input_features`` are not asked for."""
        check_is_fitted(self)
        return np.array([f"anchor_{index}" for index in self.anchor_indices_], dtype=object)

    def _learn(self, anchors: FloatArray, picks: IntArray) -> Self:
        check_choice(self.closeness, "closeness", CLOSENESS)
        self.anchors_, self.anchor_indices_ = anchors, picks
        plain = np.zeros(anchors.shape[1], dtype=anchors.dtype)
        self.mean_ = anchors.mean(axis=0) if self.center else plain
        spread = anchors.std(axis=0) if self.scale else plain
        self.scale_ = np.where(spread > 0, spread, 1).astype(anchors.dtype)
        moved = (anchors - self.mean_) / self.scale_
        if self.closeness in {"cosine", "angular"}:
            l2_normalize(moved, name="anchors")
        if len(np.unique(moved, axis=0)) < len(moved):
            _warn("some anchors are equal: they add columns and no information")
        if self.closeness == "basis" and np.linalg.matrix_rank(moved) < moved.shape[1]:
            _warn("the anchors do not span the space: the change of basis loses what lies beside them")
        return self


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=4)
