"""How well labelled classes separate: Fisher's ratio, neighbours of the same class, and a linear probe.

Rows labelled -1 (integer labels) are unlabelled and left out. Every function wants at least two classes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_labels, check_matrix, check_real
from spaceform.errors import InputError
from spaceform.ops.neighbors import nearest_neighbors
from spaceform.ops.pairs import row_blocks, squared_distances
from spaceform.types import FloatArray, IntArray, RandomState


@dataclass(frozen=True)
class LinearProbe:
    """Cross-validated logistic regression: ``accuracy`` and macro one-vs-rest ``auc``, both in [0, 1]."""

    accuracy: float
    auc: float

    def to_dict(self) -> dict[str, float]:
        """Return plain values for JSON."""
        return asdict(self)


def fisher_ratio(X: ArrayLike, y: ArrayLike) -> float:
    """Return ``tr(S_b) / tr(S_w)``: scatter of class means over scatter within classes, >= 0.

    ``S_b = sum_c n_c (m_c - m)(m_c - m)^T`` and ``S_w = sum_c sum_(i in c) (x_i - m_c)(x_i - m_c)^T``. Invariant
    to rotation and scale, not to other linear maps: for those see :func:`fisher_trace`. Raises ``InputError``
    for one class, and when no class has any spread (all singletons, or copies of one row each). O(n d).
    """
    rows, codes, counts = _labelled(X, y)
    means, residuals = _split_scatter(rows, codes, counts)
    within = float(np.einsum("ij,ij->", residuals, residuals))
    if within <= np.finfo(np.float64).eps * float(np.einsum("ij,ij->", rows, rows)):
        raise InputError(
            "X",
            got="classes without spread",
            expected="a class with two different rows",
            remedy="the ratio is infinite",
        )
    return float((counts[:, None] * means**2).sum() / within)


def fisher_trace(X: ArrayLike, y: ArrayLike, *, shrinkage: float | None = None) -> float:
    """Return ``tr(S_w^-1 S_b)`` with ``S_w`` shrunk towards a multiple of the identity, >= 0.

    ``S_w <- (1 - a) S_w + a tr(S_w) / d I``; ``shrinkage`` is ``a`` in (0, 1], by default that of Ledoit and Wolf
    (2004) for the residuals. Without shrinkage the trace is invariant to linear maps and undefined for n <= d + C.
    Raises as :func:`fisher_ratio`. O(n d^2 + d^3).
    """
    rows, codes, counts = _labelled(X, y)
    means, residuals = _split_scatter(rows, codes, counts)
    if not residuals.any():
        raise InputError("X", got="classes without spread", expected="a class with two different rows")
    if shrinkage is None:
        from sklearn.covariance import ledoit_wolf_shrinkage

        amount = float(ledoit_wolf_shrinkage(residuals, assume_centered=True))
    else:
        amount = check_real(shrinkage, "shrinkage", low=0, high=1)
    within = residuals.T @ residuals
    d = rows.shape[1]
    within = (1 - amount) * within + amount * np.trace(within) / d * np.eye(d)
    between = (means * counts[:, None]).T @ means
    try:
        return float(np.trace(np.linalg.solve(within, between)))
    except np.linalg.LinAlgError as error:
        raise InputError(
            "shrinkage", got=amount, expected="more than 0 for a singular scatter", remedy="leave it to the default"
        ) from error


def thornton_index(X: ArrayLike, y: ArrayLike, *, metric: str = "euclidean") -> float:
    """Return the share of rows whose nearest other row has their label, in [0, 1] (Thornton, 1998).

    Ties go to the lowest row. 1 - 1/n on separated classes only if none is a singleton. O(n^2 d) in blocks.
    """
    return knn_accuracy(X, y, k=1, metric=metric)


def knn_accuracy(X: ArrayLike, y: ArrayLike, *, k: int = 5, metric: str = "euclidean") -> float:
    """Return the leave-one-out accuracy of a majority vote among the ``k`` nearest other rows, in [0, 1].

    Raises ``InputError`` for one class and for ``k`` not below the number of labelled rows. O(n^2 d) in blocks.
    """
    rows, codes, _ = _labelled(X, y)
    check_integer(k, "k", low=1, high=len(rows) - 1)
    _, neighbors = nearest_neighbors(rows, k=k, metric=metric)
    return float((majority_vote(codes[neighbors]) == codes).mean())


def majority_vote(labels: IntArray) -> IntArray:
    """Return the most frequent label of each row of ``labels (n, k)``, nearest first; ties to the nearest of them.

    Labels are codes >= 0; -1 does not vote, and a row of nothing else gets -1. O(n k^2).
    """
    votes = (labels[:, :, None] == labels[:, None, :]).sum(2)
    votes[labels < 0] = 0
    return np.take_along_axis(labels, votes.argmax(1)[:, None], 1)[:, 0]


def class_silhouette(X: ArrayLike, y: ArrayLike, *, rows: ArrayLike | None = None) -> float:
    """Return the mean silhouette (Rousseeuw, 1987) of the labelled classes, in [-1, 1], without a square matrix.

    Per row ``(b - a) / max(a, b)``: ``a`` the mean distance to the rest of its class, ``b`` the smallest mean
    distance to another class; a class of one row counts 0. The mean is over all labelled rows, or over those in
    ``rows`` (row numbers: an unbiased sample for large n). O(m n (d + 1)) in blocks.
    """
    wanted = np.arange(len(np.asarray(y))) if rows is None else np.asarray(rows, dtype=np.int64)
    base, codes, counts, positions = _labelled_at(X, y)
    queries = positions[wanted][positions[wanted] >= 0]
    if not len(queries):
        raise InputError("rows", got="no labelled row", expected="at least one")
    order = np.argsort(codes, kind="stable")  # class by class, so that a class is one stretch of columns
    starts = np.cumsum(counts) - counts
    base = base - base.mean(0)
    sorted_rows = np.ascontiguousarray(base[order])
    places = np.argsort(order)
    total = 0.0
    for block in row_blocks(len(queries), len(base), itemsize=base.itemsize):
        some = queries[block]
        distances = np.sqrt(squared_distances(base[some], sorted_rows))
        distances[np.arange(len(some)), places[some]] = 0
        sums = np.add.reduceat(distances, starts, axis=1).astype(np.float64)
        at, own = np.arange(len(some)), codes[some]
        inside = sums[at, own] / np.maximum(counts[own] - 1, 1)
        means = sums / counts
        means[at, own] = np.inf
        outside = means.min(1)
        scale = np.maximum(inside, outside)
        values = np.divide(outside - inside, scale, out=np.zeros(len(some)), where=scale > 0)
        total += float(values[counts[own] > 1].sum())
    return total / len(queries)


def linear_probe(
    X: ArrayLike, y: ArrayLike, *, folds: int = 5, C: float = 1.0, random_state: RandomState = 0
) -> LinearProbe:
    """Return accuracy and AUC of logistic regression on standardised columns, over stratified ``folds``.

    Predictions for every row come from the fold that left it out; the AUC is the mean over classes of one against
    the rest. ``C`` is the inverse L2 penalty. Raises ``InputError`` when a class has fewer than ``folds`` rows.
    O(folds * iterations * n d C).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, codes, counts = _labelled(X, y)
    folds = check_integer(folds, "folds", low=2)
    if counts.min() < folds:
        raise InputError(
            "y", got=f"a class of {counts.min()} row(s)", expected=f"{folds} rows or more", remedy="drop small classes"
        )
    seed = random_state if not isinstance(random_state, np.random.Generator) else int(random_state.integers(2**31))
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=check_real(C, "C", low=0, open_ends=True), max_iter=2000)
    )
    scores = cross_val_predict(model, rows, codes, cv=splits, method="decision_function")
    if scores.ndim == 1:
        return LinearProbe(float(((scores > 0) == codes).mean()), float(roc_auc_score(codes, scores)))
    areas = [roc_auc_score(codes == c, scores[:, c]) for c in range(len(counts))]
    return LinearProbe(float((scores.argmax(1) == codes).mean()), float(np.mean(areas)))


def linear_probe_auc(X: ArrayLike, y: ArrayLike, *, folds: int = 5, random_state: RandomState = 0) -> float:
    """Return the AUC of :func:`linear_probe`."""
    return linear_probe(X, y, folds=folds, random_state=random_state).auc


def _labelled(X: ArrayLike, y: ArrayLike) -> tuple[FloatArray, IntArray, IntArray]:
    """Return labelled rows, their class codes and the class sizes."""
    return _labelled_at(X, y)[:3]


def _labelled_at(X: ArrayLike, y: ArrayLike) -> tuple[FloatArray, IntArray, IntArray, IntArray]:
    """Return also where each given row stands among the labelled ones (-1: nowhere)."""
    rows = check_matrix(X, min_rows=2)
    labels = check_labels(y, len(rows))
    known = labels != -1 if labels.dtype.kind in "if" else np.ones(len(rows), dtype=bool)
    _, codes, counts = np.unique(labels[known], return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise InputError("y", got=f"{len(counts)} class(es)", expected="at least 2 classes")
    positions = np.where(known, np.cumsum(known) - 1, -1)
    return rows if known.all() else rows[known], codes.astype(np.int64), counts, positions


def _split_scatter(rows: FloatArray, codes: IntArray, counts: IntArray) -> tuple[FloatArray, FloatArray]:
    """Class means about the overall mean, and each row about the mean of its class, in float64."""
    centred = rows.astype(np.float64)
    centred -= centred.mean(0)
    means = np.zeros((len(counts), rows.shape[1]))
    np.add.at(means, codes, centred)
    means /= counts[:, None]
    return means, centred - means[codes]
