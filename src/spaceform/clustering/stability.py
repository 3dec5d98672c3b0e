"""How far single clusters can be trusted: how well each comes back when a part of the rows is clustered again."""

from __future__ import annotations

import numpy as np

from spaceform.checks import check_integer, check_matrix, check_partial_labels, check_real
from spaceform.clustering.kmeans import kmeans
from spaceform.ops.assignment import contingency
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, Progress, RandomState, no_progress


def cluster_stability(
    X: FloatArray,
    labels: IntArray,
    *,
    n_runs: int = 10,
    share: float = 0.8,
    n_init: int = 3,
    random_state: RandomState = None,
    progress: Progress = no_progress,
) -> FloatArray:
    """Return, for each cluster ``0..k-1`` of ``labels (n,)``, the mean Jaccard similarity to its best counterpart.

    In each of ``n_runs`` runs a random ``share`` of the rows is clustered into as many clusters by k-means, and the
    cluster that overlaps most is looked up (Hennig, 2007). Above 0.75 a cluster is stable, below 0.5 it dissolves.
    NaN for a cluster none of whose rows was ever drawn. O(n_runs * n_init) k-means runs.
    """
    X = check_matrix(X, min_rows=2)
    own = check_partial_labels(labels, len(X), "labels")
    check_integer(n_runs, "n_runs", low=1)
    size = max(1, round(check_real(share, "share", low=0, high=1) * len(X)))
    rng = as_generator(random_state)
    k = int(own.max()) + 1
    total, seen = np.zeros(k), np.zeros(k)
    for run in range(n_runs):
        rows = rng.permutation(len(X))[:size]
        again = kmeans(X[rows], min(k, size), n_init=n_init, random_state=rng).labels
        table = contingency(own[rows], again)
        union = table.counts.sum(1, keepdims=True) + table.counts.sum(0) - table.counts
        present = table.classes >= 0
        total[table.classes[present]] += (table.counts / union).max(1)[present]
        seen[table.classes[present]] += 1
        progress("stability", run + 1, n_runs)
    return np.divide(total, seen, out=np.full(k, np.nan), where=seen > 0)
