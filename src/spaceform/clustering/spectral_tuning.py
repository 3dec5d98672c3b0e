"""Bandwidth and dimension of a spectral embedding, chosen by how well known classes fall apart in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_matrix
from spaceform.clustering.kmeans import kmeans
from spaceform.clustering.partial import read_partial
from spaceform.clustering.spectral import MAX_DENSE, N_NEIGHBORS, spectral_embedding
from spaceform.errors import InputError
from spaceform.ops.assignment import agreement
from spaceform.types import FloatArray, Progress, no_progress

MIN_DISTS = (0.02, 0.1, 0.3, 0.6, 0.8, 0.9, 0.98)
"""Candidates that cover the published best values of seven tables, 0.025 to 0.986."""


@dataclass(frozen=True)
class SpectralTuning:
    """The chosen pair, its score (accuracy on known classes), and all scores as ``(min_dist, n_components, score)``."""

    min_dist: float
    n_components: int
    score: float
    scores: tuple[tuple[float, int, float], ...]


def tune_spectral(
    X: FloatArray,
    y: ArrayLike,
    *,
    min_dists: Sequence[float] = MIN_DISTS,
    n_components: Sequence[int] | None = None,
    k: int = N_NEIGHBORS,
    max_dense: int = MAX_DENSE,
    n_init: int = 3,
    random_state: int = 0,
    progress: Progress = no_progress,
) -> SpectralTuning:
    """Choose ``min_dist`` and ``n_components`` for NCD spectral clustering without any novel label.

    All rows ``X (n, d)`` are embedded; in each candidate embedding k-means with as many clusters as known classes is
    run on the labelled rows and compared with their labels in ``y (n,)`` (section 3.3). Embeddings of fewer
    components are parts of larger ones, so that each bandwidth costs one decomposition. ``n_components`` defaults to
    1, 1.5, 2, 3 and 4 times the number of known classes, which covers the published values.

    Raises ``InputError`` for fewer than 2 known classes and as :func:`spectral_embedding`.
    """
    rows = check_matrix(X, min_rows=3)
    partial = read_partial(y, len(rows), need_known=True, need_unlabelled=False)
    count = len(partial.classes)
    if count < 2:
        raise InputError("y", got=f"{count} known class", expected="at least 2, to see them fall apart")
    if n_components is None:
        n_components = sorted({min(round(count * factor), len(rows) - 1) for factor in (1, 1.5, 2, 3, 4)})
    labelled = ~partial.unlabelled
    scores: list[tuple[float, int, float]] = []
    for step, min_dist in enumerate(min_dists):
        whole = spectral_embedding(rows, max(n_components), min_dist, k=k, max_dense=max_dense)
        for size in n_components:
            found = kmeans(whole[labelled, :size], count, n_init=n_init, random_state=random_state).labels
            scores.append((min_dist, size, agreement(partial.codes[labelled], found)))
        progress("spectral embeddings", step + 1, len(min_dists), {"accuracy": max(scores, key=_score)[2]})
    best = scores[int(np.argmax([_score(one) for one in scores]))]
    return SpectralTuning(*best, scores=tuple(scores))


def _score(entry: tuple[float, int, float]) -> float:
    return entry[2]
