"""How clustered a cloud of unlabelled rows is: lifetimes of the connected components of growing balls (H0).

In the Vietoris-Rips filtration every row is born as a component at scale 0 and components merge as the scale
grows. All but one die, and the scales at which they die are exactly the edge lengths of a minimum spanning tree, so no
library for persistent homology is needed.

What is known of the paper (arXiv 2305.15016, its abstracts and one figure caption): lifetimes of the components
divided by the longest one, summarised in a score. Which summary it uses is not known here: the statistics below,
the outlier guards and the estimate of the number of components are this library's own construction.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_choice, check_integer, check_matrix, check_real, require
from spaceform.errors import InputError
from spaceform.ops.pairs import l2_normalize
from spaceform.ops.spanning import euclidean_mst, matrix_mst
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, RandomState

STATISTICS = ("mean", "median", "quantile", "trimmed", "entropy", "gap", "n_long")
SCORES = tuple(statistic for statistic in STATISTICS if statistic != "n_long")
"""The statistics that say how separated rows are; ``n_long`` counts."""

METRICS = ("euclidean", "cosine")
NORMALIZATIONS = ("l2", "layer", "none")
FLAT = 1e-12
"""Rows whose values spread less than this can't be scaled to unit variance."""

BACKENDS = ("auto", "ripser", "gudhi")


def h0_persistence(
    X: ArrayLike | None = None,
    *,
    metric: str = "euclidean",
    precomputed: ArrayLike | None = None,
    min_component_size: int = 1,
    backend: str = "auto",
) -> FloatArray:
    """Return the finite H0 lifetimes ``(n - 1,)`` of ``n`` rows, float64, descending, in the unit of the distances.

    Parameters: ``X (n, d)`` rows, or ``precomputed (n, n)`` distances. ``metric`` is ``euclidean``, or ``cosine``:
    Euclidean on unit vectors (chords), because ``1 - cosine`` is no metric. Deaths are edge lengths, as ripser
    and GUDHI's Rips complex give them (alpha complexes give squared radii: never mix). ``backend`` is for
    checking against those libraries; ``auto`` is the exact minimum spanning tree.

    ``min_component_size`` guards against outliers: lifetimes longer than the longest merge of two components
    that both hold so many rows are cut to that length, so a few far rows no longer set the scale. When no two
    such components ever merge, every row joins one growing lump, and all lifetimes are cut to the shortest
    positive one: no structure of that size.

    Raises ``InputError`` for fewer than 3 rows, NaN, a matrix of distances that is not square, symmetric,
    non-negative and zero on its diagonal, and, with ``cosine``, zero rows. O(n^2 d) time, O(n d) memory.

    >>> h0_persistence([[0.0], [1.0], [2.0], [10.0]]).tolist()
    [8.0, 1.0, 1.0]
    """
    check_choice(metric, "metric", METRICS)
    check_choice(backend, "backend", BACKENDS)
    if (X is None) == (precomputed is None):
        raise InputError("X", got="rows and distances" if X is not None else "None", expected="X or precomputed")
    if precomputed is not None:
        distances = _check_distances(precomputed)
        smallest = check_integer(min_component_size, "min_component_size", low=1, high=len(distances) // 2)
        if backend != "auto":
            return _by_library(backend, distances, precomputed=True)
        return _lifetimes(*matrix_mst(distances, name="precomputed"), smallest)
    rows = check_matrix([] if X is None else X, min_rows=3)
    smallest = check_integer(min_component_size, "min_component_size", low=1, high=len(rows) // 2)
    rows = l2_normalize(rows.astype(np.float64)) if metric == "cosine" else rows
    if backend != "auto":
        return _by_library(backend, rows, precomputed=False)
    return _lifetimes(*euclidean_mst(rows), smallest)


def persistence_score(
    p: ArrayLike,
    statistic: str = "mean",
    *,
    normalize: bool = True,
    quantile: float | None = None,
    threshold: float = 0.5,
) -> float:
    """Return one number for lifetimes ``p``, in any order; with ``normalize`` they are divided by the longest first.

    With ``u_i = p_i / max p``, in [0, 1]:

    - ``mean``: of ``u``. Small when a few lifetimes dwarf the rest: clustered. 1 when all are equal.
    - ``median``, ``quantile`` (at ``quantile``, default 0.75): the same, deaf to the longest lifetimes.
    - ``trimmed``: mean of ``min(p_i / P, 1)`` with ``P`` the ``quantile`` (default 0.99) of the lifetimes. Up to
      1% of far rows can't set the scale; in turn it is blind to as few merges of clusters.
    - ``entropy``: ``-sum r_i ln r_i / ln(n - 1)`` with ``r = p / sum p``: persistent entropy, in [0, 1].
    - ``gap``: the largest step between neighbouring lifetimes, ``max_j u_j - u_(j+1)``: LARGE when clustered.
    - ``n_long``: how many ``u_i >= threshold``, plus 1: components that live long. With ``normalize=False``
      ``threshold`` is a distance.

    All are invariant to order, rotation, translation and (normalised) scale, and depend on n: compare scores
    only at equal n. Raises ``InputError`` for fewer than 2 lifetimes, negative ones and, when normalising, for
    lifetimes that are all 0 (all rows identical: nothing to divide by). O(n log n).

    >>> round(persistence_score([8.0, 1.0, 1.0]), 5)
    0.41667
    """
    check_choice(statistic, "statistic", STATISTICS)
    lifetimes = _check_lifetimes(p)
    scale = 1.0
    if normalize and statistic != "entropy":
        scale = lifetimes[0]
    if statistic == "trimmed":
        scale = _quantile(lifetimes, quantile, 0.99)
        if scale <= 0:
            raise InputError("p", got="a quantile of 0", expected="positive lifetimes", remedy="raise the quantile")
    if lifetimes[0] <= 0 and (normalize or statistic in {"entropy", "trimmed"}):
        raise InputError(
            "p", got="lifetimes that are all 0", expected="at least two different rows", remedy="all rows are identical"
        )
    u = lifetimes / scale
    if statistic == "trimmed":
        return float(np.minimum(u, 1).mean())
    if statistic == "quantile":
        return _quantile(u, quantile, 0.75)
    if statistic == "entropy":
        r = u[u > 0] / u.sum()
        return float(-(r * np.log(r)).sum() / np.log(len(u)))
    if statistic == "n_long":
        return float((u >= check_real(threshold, "threshold", low=0)).sum() + 1)
    if statistic == "gap":
        return float((u[:-1] - u[1:]).max())
    return float(np.median(u) if statistic == "median" else u.mean())


def estimate_n_components(p: ArrayLike, k_max: int) -> int:
    """Return ``j + 1`` for the widest gap ``p_j - p_(j+1)`` between descending lifetimes over ``j <= k_max``.

    Ties go to the fewest components. Never 1: a gap can't show that there is no structure; compare
    ``persistence_score`` with that of a column-shuffled copy for that. Raises ``InputError`` unless
    ``1 <= k_max < n`` for n - 1 lifetimes, and for lifetimes that are all 0.
    """
    lifetimes = _check_lifetimes(p)
    k_max = check_integer(k_max, "k_max", low=1, high=len(lifetimes))
    if lifetimes[0] <= 0:
        raise InputError("p", got="lifetimes that are all 0", expected="at least two different rows")
    gaps = lifetimes[:-1] - lifetimes[1:]
    return int(gaps[:k_max].argmax()) + 2


def subsampled_lifetimes(
    X: ArrayLike,
    *,
    n_subsample: int,
    n_repeats: int = 5,
    normalize: str = "l2",
    min_component_size: int = 1,
    random_state: RandomState = 0,
) -> FloatArray:
    """Return lifetimes ``(n_repeats, n_subsample - 1)`` of random subsamples of the rows of ``X (n, d)``.

    Drawn without replacement within a subsample (copies would be components of lifetime 0); when ``n_subsample``
    is n there is only one, ``(1, n - 1)``. ``normalize`` is ``l2`` (unit rows), ``layer`` (rows of mean 0 and
    variance 1) or ``none``. Raises as :func:`h0_persistence`, and when ``n_subsample > n``.
    """
    rows = check_matrix(X, min_rows=3)
    size = check_integer(n_subsample, "n_subsample", low=3)
    repeats = check_integer(n_repeats, "n_repeats", low=1)
    if size > len(rows):
        raise InputError(
            "n_subsample", got=size, expected=f"at most the {len(rows)} rows", remedy="lower it wherever you compare"
        )
    ready = _normalized(rows, normalize)
    if size == len(rows):
        return h0_persistence(ready, min_component_size=min_component_size)[None]
    rng = as_generator(random_state)
    samples = (np.sort(rng.choice(len(rows), size, replace=False)) for _ in range(repeats))
    return np.stack([h0_persistence(ready[s], min_component_size=min_component_size) for s in samples])


def column_shuffled(X: FloatArray, random_state: RandomState = 0) -> FloatArray:
    """Return ``X`` with each column in an order of its own: same marginals, no clusters. The control of any score."""
    return as_generator(random_state).permuted(X, axis=0)


def _normalized(rows: FloatArray, how: str) -> FloatArray:
    check_choice(how, "normalize", NORMALIZATIONS)
    if how == "none":
        return rows
    exact = rows.astype(np.float64)
    if how == "l2":
        return l2_normalize(exact)
    exact -= exact.mean(1, keepdims=True)
    spread = exact.std(1, keepdims=True)
    if (spread < FLAT).any():
        row = int((spread[:, 0] < FLAT).argmax())
        raise InputError("X", got=f"a row of equal values (row {row})", expected="rows that vary", remedy="use 'l2'")
    return exact / spread


def _check_lifetimes(p: ArrayLike) -> FloatArray:
    try:
        lifetimes = np.sort(np.asarray(p, dtype=np.float64))[::-1]
    except (TypeError, ValueError) as error:
        raise InputError("p", got=type(p).__name__, expected="numbers") from error
    if lifetimes.ndim != 1 or len(lifetimes) < 2 or not np.isfinite(lifetimes).all() or lifetimes[-1] < 0:
        raise InputError("p", got=f"shape {lifetimes.shape}", expected="two or more finite lifetimes >= 0")
    return lifetimes


def _quantile(values: FloatArray, quantile: float | None, default: float) -> float:
    level = default if quantile is None else check_real(quantile, "quantile", low=0, high=1)
    return float(np.quantile(values, level))


def _check_distances(precomputed: ArrayLike) -> FloatArray:
    """Check all but symmetry, which the tree looks at."""
    distances = check_matrix(precomputed, "precomputed", min_rows=3, dtype=np.float64)
    expected = "square, symmetric, non-negative distances with a zero diagonal"
    if distances.shape[0] != distances.shape[1]:
        raise InputError("precomputed", got=f"shape {distances.shape}", expected=expected)
    if np.diagonal(distances).any():
        raise InputError("precomputed", got="a diagonal that is not 0", expected=expected)
    if distances.min() < 0:
        raise InputError("precomputed", got="a negative distance", expected=expected)
    return distances


def _lifetimes(heads: IntArray, tails: IntArray, lengths: FloatArray, smallest: int) -> FloatArray:
    if smallest > 1:
        merged = _smaller_sides(heads, tails)
        solid = lengths[merged >= smallest]
        longest = solid.max() if len(solid) else min(lengths[lengths > 0], default=0.0)
        lengths = np.minimum(lengths, longest)
    return np.sort(lengths)[::-1]


def _smaller_sides(heads: IntArray, tails: IntArray) -> IntArray:
    """Rows in the smaller of the two components that each edge joins, edges being added in the order given."""
    parents, sizes = list(range(len(heads) + 1)), [1] * (len(heads) + 1)
    smaller = np.empty(len(heads), dtype=np.int64)
    for step, ends in enumerate(zip(heads.tolist(), tails.tolist(), strict=True)):
        small, large = sorted((_root(parents, row) for row in ends), key=sizes.__getitem__)
        smaller[step] = sizes[small]
        parents[small] = large
        sizes[large] += sizes[small]
    return smaller


def _root(parents: list[int], row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


def _by_library(backend: str, values: FloatArray, *, precomputed: bool) -> FloatArray:
    if backend == "ripser":
        ripser = require("ripser", "bench")
        deaths = ripser.ripser(values, maxdim=0, distance_matrix=precomputed)["dgms"][0][:, 1]
    else:
        gudhi = require("gudhi", "bench")
        source: Mapping[str, FloatArray] = {"distance_matrix" if precomputed else "points": values}
        tree = gudhi.RipsComplex(**source).create_simplex_tree(max_dimension=1)
        tree.compute_persistence(homology_coeff_field=2, min_persistence=-1)
        deaths = tree.persistence_intervals_in_dimension(0)[:, 1]
    finite = deaths[np.isfinite(deaths)].astype(np.float64)
    missing = len(values) - 1 - len(finite)  # both leave out classes that die at their birth: duplicates
    return np.sort(np.concatenate([finite, np.zeros(missing)]))[::-1]
