"""Classes from how often clusters occur in each domain: counts, their non-negative factors, and the posterior.

Notation of Roberts and others (2022): ``r`` domains ``d``, ``k`` classes ``y``, ``m`` clusters ``c``; ``q`` is the
distribution in which every domain has weight ``1/r``.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from spaceform.checks import check_choice, check_integer, check_matrix
from spaceform.errors import InputError
from spaceform.rng import as_generator
from spaceform.types import FloatArray, IntArray, RandomState

FACTORIZERS = ("nmf", "spa")
SOLVERS = ("nnls", "pinv")

SMALLEST_SHARE = 0.25
"""Successive projection passes over clusters below this share of an even cluster: their rows are mostly noise."""

NOTHING = 1e-8
"""Sums below this are divided by it (the released code's guard)."""

PIVOTS = 20
"""Rounds in which all wrong signs change at once; rows still unsettled go to SciPy one by one."""

SINGULAR = 1e7
"""Condition number of a basis beyond which its Gram matrix can't be solved in float64."""


def domain_counts(clusters: ArrayLike, domains: ArrayLike, *, n_clusters: int, n_domains: int) -> FloatArray:
    """Return ``Q (m, r)``: the share of each domain's rows that lie in each cluster; columns sum to 1.

    ``clusters (n,)`` in ``0..m-1``, ``domains (n,)`` in ``0..r-1``. Raises ``InputError`` for numbers outside, unequal
    lengths, and a domain without a row. O(n + m r).
    """
    c, d = np.asarray(clusters), np.asarray(domains)
    for name, values, high in (("clusters", c, n_clusters), ("domains", d, n_domains)):
        if values.ndim != 1 or values.shape != c.shape or values.dtype.kind not in "iu" or len(values) == 0:
            raise InputError(name, got=f"{values.dtype} {values.shape}", expected="integers (n,), as long as clusters")
        if values.min() < 0 or values.max() >= high:
            raise InputError(name, got=f"{values.min()} to {values.max()}", expected=f"0 to {high - 1}")
    table = np.bincount(c * n_domains + d, minlength=n_clusters * n_domains).reshape(n_clusters, n_domains)
    totals = table.sum(0)
    if (totals == 0).any():
        raise InputError("domains", got=f"no row of domain {int(totals.argmin())}", expected="rows of every domain")
    return np.asarray(table / totals)


def factorize_domain_counts(
    counts: FloatArray, n_classes: int, *, factorizer: str = "nmf", n_init: int = 5, random_state: RandomState = None
) -> tuple[FloatArray, FloatArray]:
    """Return ``p(c|y) (m, k)`` and ``p(y|d) (k, r)`` whose product is nearest to ``counts (m, r)``; columns sum to 1.

    ``factorizer``: ``"nmf"`` takes the best of ``n_init`` random starts by the Frobenius norm; it need not find the
    true factors when these have no zeros. ``"spa"`` (successive projection; Araujo and others, 2001; Gillis and
    Vavasis, 2014) looks for k clusters of one class each: without noise it is exact and deterministic, O(m r k), but
    noisy small clusters mislead it, so those below a quarter of an even share are no candidates.

    Factors are free up to a scale per class: the columns of the first are divided by their sum, the rows of the second
    multiplied by it. Raises ``InputError`` for negative counts, fewer clusters than classes, and other names. Warns of
    a class that is empty, and of a domain that no class explains (its shares are set equal).
    """
    table = check_matrix(counts, "counts", dtype=np.float64)
    k = check_integer(n_classes, "n_classes", low=1, high=len(table))
    check_integer(n_init, "n_init", low=1)
    if table.min() < 0:
        raise InputError("counts", got=f"{table.min():.3g}", expected="shares >= 0")
    if check_choice(factorizer, "factorizer", FACTORIZERS) == "spa":
        left, right = _successive_projection(table, k)
    else:
        left, right = _best_nmf(table, k, n_init, random_state)
    scale = left.sum(0)
    p_y_given_d, totals = right * scale[:, None], (right * scale[:, None]).sum(0)
    empty, lost = p_y_given_d.max(1) <= NOTHING, totals <= NOTHING
    if empty.any() or lost.any():
        warnings.warn(
            f"{int(empty.sum())} of {k} classes are empty and {int(lost.sum())} domains are explained by no class; "
            "ask for fewer classes or more clusters",
            UserWarning,
            stacklevel=2,
        )
    p_y_given_d = np.where(lost, 1 / k, p_y_given_d / np.maximum(totals, NOTHING))
    return left / np.maximum(scale, NOTHING), p_y_given_d


def adjust_posterior(
    q_d_given_x: FloatArray, p_y_given_d: FloatArray, *, domains: IntArray | None = None, solver: str = "nnls"
) -> FloatArray:
    """Return ``p_d(y|x) (n, k)`` of rows with ``q(d|x) (n, r)`` that lie in ``domains (n,)``; rows sum to 1.

    ``q(d|x) = D q(y|x)`` with ``D[d, y] = p(y|d) / sum_d' p(y|d')``; then ``p_d(y|x)`` is proportional to
    ``D[d, y] q(y|x)``. Where a row's domain is -1 (or ``domains`` is None) the answer is ``q(y|x)``, that of a row from
    all domains alike; a row that its domain's classes can't explain gets that domain's shares.

    ``solver``: ``"nnls"`` finds the nearest non-negative mixture; ``"pinv"``, the paper's, multiplies by the
    pseudo-inverse and sets negative entries to 0 (dividing by a negative sum would turn the largest into the smallest).
    O(n k (r + k)) and up to ``2^k`` systems of k equations.
    """
    check_choice(solver, "solver", SOLVERS)
    across = p_y_given_d.T / np.maximum(p_y_given_d.sum(1), NOTHING)
    if solver == "nnls":
        mixture = nonnegative_mixture(q_d_given_x, across)
    else:
        mixture = np.maximum(q_d_given_x @ np.linalg.pinv(across).T, 0)
    everywhere = _rows_to_one(mixture, np.full(mixture.shape[1], 1 / mixture.shape[1]))
    if domains is None:
        return everywhere
    inside = _rows_to_one(everywhere * across[domains], p_y_given_d.T[domains])
    return np.where((domains >= 0)[:, None], inside, everywhere)


def nonnegative_mixture(targets: FloatArray, basis: FloatArray) -> FloatArray:
    """Return ``A (n, k) >= 0`` with the smallest ``|basis a - t|`` for every row ``t`` of ``targets (n, r)``.

    ``basis (r, k)``. Block principal pivoting (Kim and Park, 2011): all coefficients with a wrong sign change sides at
    once, and rows with the same free ones share one system. Equal to :func:`scipy.optimize.nnls` on each row, which
    takes over for rows that do not settle and for a basis that is singular.
    """
    n, k = len(targets), basis.shape[1]
    found, left = np.zeros((n, k)), np.arange(n)
    if basis.shape[0] >= k and np.linalg.cond(basis) < SINGULAR:
        gram, cross = basis.T @ basis, targets @ basis
        free = np.zeros((n, k), dtype=bool)
        slack = 1e-12 * (1 + np.abs(cross).max(initial=0))
        for _ in range(PIVOTS):
            slope = found[left] @ gram - cross[left]
            wrong = np.where(free[left], found[left] < -slack, slope < -slack)
            unsettled = wrong.any(1)
            left = left[unsettled]
            if len(left) == 0:
                break
            free[left] ^= wrong[unsettled]
            patterns, own = np.unique(free[left], axis=0, return_inverse=True)
            for index, pattern in enumerate(patterns):
                rows = left[own.ravel() == index]
                found[rows] = 0
                found[np.ix_(rows, pattern)] = np.linalg.solve(
                    gram[np.ix_(pattern, pattern)], cross[np.ix_(rows, pattern)].T
                ).T
    for row in left:
        found[row] = nnls(basis, targets[row])[0]
    return np.maximum(found, 0)


def _best_nmf(table: FloatArray, k: int, n_init: int, random_state: RandomState) -> tuple[FloatArray, FloatArray]:
    draws = as_generator(random_state).integers(2**31, size=n_init)
    best, left, right = np.inf, table, table
    for draw in draws.tolist():
        model = NMF(k, init="random", max_iter=2000, random_state=draw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            shares = model.fit_transform(table.T)  # domains as rows, as in the released code
        if model.reconstruction_err_ < best:
            best, left, right = model.reconstruction_err_, model.components_.T, shares.T
    return left, right


def _successive_projection(table: FloatArray, k: int) -> tuple[FloatArray, FloatArray]:
    sizes = table.sum(1)
    rows = table / np.maximum(sizes, NOTHING)[:, None]
    candidates = sizes >= min(SMALLEST_SHARE * sizes.mean(), np.sort(sizes)[-k])
    rest = np.where(candidates[:, None], rows, 0)
    anchors = []
    for _ in range(k):
        lengths = np.einsum("ij,ij->i", rest, rest)
        anchors.append(int(lengths.argmax()))
        if lengths.max() > 0:
            unit = rest[anchors[-1]] / np.sqrt(lengths.max())
            rest = rest - np.outer(rest @ unit, unit)
    return sizes[:, None] * nonnegative_mixture(rows, rows[anchors].T), rows[anchors]


def _rows_to_one(values: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Divide rows by their sums; rows of nothing become ``otherwise`` (k,) or (n, k)."""
    sums = values.sum(1, keepdims=True)
    return np.where(sums > 0, values / np.where(sums > 0, sums, 1), otherwise)
