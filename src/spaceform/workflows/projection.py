"""A Space in two dimensions, for a map that people look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spaceform.checks import check_integer, check_matrix
from spaceform.errors import InputError
from spaceform.rng import as_generator, derive_seed
from spaceform.space import Space
from spaceform.types import FloatArray, IntArray, Progress, no_progress

MAX_ROWS = 8_000
"""More points than this hide each other on a screen, and t-SNE takes minutes."""

EXAGGERATION, RESTART = 12.0, 4.0
"""How much t-SNE pulls neighbours together at first: the usual, and less where a map starts from another.

Of two seeds of an encoder the second map then lies twice as near to the first, and shows its neighbours as well.
"""


@dataclass(frozen=True)
class Projection:
    """``rows`` (m,) of the Space in ascending order and their places ``xy`` (m, 2) on the map."""

    rows: IntArray
    xy: FloatArray


def project(
    space: Space,
    *,
    max_rows: int = MAX_ROWS,
    start: FloatArray | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Projection:
    """Place the rows of a Space (a seeded sample of ``max_rows`` if it is larger) on a plane by t-SNE.

    The vectors are reduced to 50 principal components first, which removes noise and most of the cost (as van
    der Maaten and Hinton do, 2008, section 4.2); the layout starts from the first two. Distances between far
    groups on the map mean little; neighbourhoods do. Fewer than 10 rows are placed by their principal
    components alone. With ``start (m, 2)``, places of the same rows on another map, the layout starts from there,
    so that what is alike comes to lie alike. O(m log m) a step, about 15 s for 7,000 rows on two cores.
    """
    check_integer(max_rows, "max_rows", low=1)
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = np.arange(len(space))
    if len(rows) > max_rows:
        rows = np.sort(as_generator(derive_seed(seed, "map")).choice(rows, max_rows, replace=False))
    X = np.asarray(space.vectors[rows], dtype=np.float32)
    progress("drawing the map", 0, 1)
    parts = min(50, *X.shape)
    spread = bool(X.std(axis=0).any())
    reduced = PCA(parts, random_state=seed).fit_transform(X) if parts > 1 and spread else X - X.mean(axis=0)
    if len(rows) < 10 or not spread:
        xy = np.pad(reduced[:, :2], ((0, 0), (0, max(0, 2 - reduced.shape[1]))))
    else:
        perplexity = min(20.0, (len(rows) - 1) / 3)
        init = _places(start, len(rows)) if start is not None else "pca" if parts > 1 else "random"
        drawn = TSNE(
            perplexity=perplexity,
            init=init,
            early_exaggeration=EXAGGERATION if start is None else RESTART,
            max_iter=500,
            n_jobs=-1,
            random_state=seed,
        )
        xy = drawn.fit_transform(reduced)
    progress("drawing the map", 1, 1)
    return Projection(rows, np.asarray(xy, dtype=np.float64))


def drawn_rows(rows: IntArray, most: int, *, seed: int) -> IntArray:
    """Return the ``rows``, or ``most`` of them drawn by ``seed``, ascending, where there are more."""
    if len(rows) <= most:
        return rows
    return np.sort(as_generator(derive_seed(seed, "shown")).choice(rows, most, replace=False))


def _places(start: FloatArray, n: int) -> FloatArray:
    places = check_matrix(start, "start", width=2, dtype=np.float32)
    if len(places) != n:
        raise InputError("start", got=f"{len(places)} places", expected=f"{n}, one per row")
    return places
