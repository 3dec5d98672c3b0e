"""k-means with known centres or held rows against scikit-learn's k-means: the same rows, starts and number of steps.

All run in turns in one process on one thread; figures are medians. The bound is the product of rows and centres, which
every step needs once, and once more at the end.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from spaceform.clustering.kmeans import lloyd, seed_centers
from spaceform.rng import as_generator
from spaceform.types import FloatArray, Progress, no_progress

ROWS, DIM, CLUSTERS, STEPS = 100_000, 384, 50, 10
QUICK_ROWS = 5_000
LABELLED = 0.25
"""Share of the rows that are held to their centre."""

KNOWN = 20
"""Known centres that count in the seeding of NCD k-means."""

PEER = "scikit-learn KMeans"


def run(*, quick: bool = False, repeats: int = 3, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Return a row per method: seconds of ten steps from given centres, and of seeding them.

    ``ratio`` is the time over scikit-learn's for the same work (below 1: ours is faster), ``products`` the time in bare
    products of rows and centres. Parameters: ``quick`` 5,000 rows for 100,000; ``repeats`` of each measurement.
    """
    rows = QUICK_ROWS if quick else ROWS
    rng = as_generator(0)
    centers = rng.normal(size=(CLUSTERS, DIM)).astype(np.float32)
    names = rng.integers(CLUSTERS, size=rows)
    # so noisy that ten steps are not enough: every method takes all of them
    X = centers[names] + 6 * rng.normal(size=(rows, DIM)).astype(np.float32)
    starts = X[rng.choice(rows, CLUSTERS, replace=False)]
    known = centers[:KNOWN] + rng.normal(size=(KNOWN, DIM)).astype(np.float32)
    pinned = np.where(rng.random(rows) < LABELLED, names, -1).astype(np.int64)
    works: dict[str, tuple[str, Callable[[], object]]] = {
        "product of rows and centres": ("product", lambda: X @ starts.T),
        PEER: ("steps", lambda: _peer(X, starts)),
        "k-means": ("steps", lambda: lloyd(X, starts, max_iter=STEPS)),
        "semi-supervised k-means": ("steps", lambda: lloyd(X, starts, pinned=pinned, max_iter=STEPS)),
        f"{PEER}, seeding": ("seeds", lambda: _peer_seeds(X)),
        "NCD k-means, seeding": ("seeds", lambda: seed_centers(X, CLUSTERS, known=known, random_state=0)),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    with threadpool_limits(1):
        for turn in range(repeats + 1):
            for done, (name, (_, work)) in enumerate(works.items()):
                progress("k-means", turn * len(works) + done, (repeats + 1) * len(works))
                begun = time.perf_counter()
                work()
                if turn or quick:
                    times[name].append(time.perf_counter() - begun)
    progress("k-means", 1, 1)
    medians = {name: statistics.median(seen) for name, seen in times.items()}
    product = medians["product of rows and centres"]
    peers = {"steps": medians[PEER], "seeds": medians[f"{PEER}, seeding"], "product": product}
    return [
        {
            "method": name,
            "rows": rows,
            "dimensions": DIM,
            "clusters": CLUSTERS,
            "steps": STEPS if kind == "steps" else 0,
            "seconds": seconds,
            "ratio": seconds / peers[kind],
            "products": seconds / product,
        }
        for name, seconds in medians.items()
        for kind in [works[name][0]]
    ]


def _peer(X: FloatArray, starts: FloatArray) -> KMeans:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that ten steps do not converge is meant
        return KMeans(CLUSTERS, init=starts, n_init=1, max_iter=STEPS, tol=0, algorithm="lloyd").fit(X)


def _peer_seeds(X: FloatArray) -> object:
    from sklearn.cluster import kmeans_plusplus

    return kmeans_plusplus(X, CLUSTERS, n_local_trials=1, random_state=0)
