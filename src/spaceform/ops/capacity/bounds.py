"""Bounds on the dimension in which single vectors can return given sets of documents.

``rank_rop(A)`` is the least d for which vectors exist whose inner products put, for every query, all relevant
documents above all irrelevant ones. With the sign rank of ``2A - 1`` it holds that
``sign_rank - 1 <= rank_rop <= sign_rank`` (Weller et al. 2025, version 1, proposition 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, inf, lgamma, log, log1p

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.ops.capacity.subsets import check_relevance, check_set_size
from spaceform.types import BoolArray, FloatArray

_EXACT_K = 10_000
"""Up to here the logarithm of the binomial is summed term by term, without the cancellation of large lgammas."""

_LARGEST_LOG = 709.0
"""exp of more overflows float64."""


def log_binomial(n: int, k: int) -> float:
    """Return ``log C(n, k)`` without computing the binomial. O(min(k, n - k)), at most 10,000 terms."""
    few = min(k, n - k)
    if few <= _EXACT_K:
        return sum(log((n - i) / (few - i)) for i in range(few))
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def margin_dimension_bound(n: int, k: int, gamma: float) -> float:
    """Return the dimension below which unit vectors can't return every k-subset of n documents with a margin.

    If for every set S a unit query has ``min_{i in S} <u, v_i> >= max_{j not in S} <u, v_j> + 2 gamma``, then
    ``C(n, k) <= (1 + 1/gamma)^d``, so ``d >= log C(n, k) / log(1 + 1/gamma)`` (Weller et al., version 2, theorem 1).
    The least whole dimension is the ceiling. Raises ``InputError`` for k outside ``1..n-1``, gamma outside (0, 1].
    """
    n, k = check_set_size(n, k)
    return log_binomial(n, k) / log1p(1 / _check_gamma(gamma))


def max_subsets(d: int, gamma: float) -> float:
    """Return ``(1 + 1/gamma)^d``, the most sets that d dimensions return with margin; infinity beyond float64."""
    power = check_integer(d, "d", low=1) * log1p(1 / _check_gamma(gamma))
    return exp(power) if power < _LARGEST_LOG else inf


def margin_critical_n(d: int, k: int, gamma: float) -> int:
    """Return the most documents of which `margin_dimension_bound` lets d dimensions return every k-subset; at least k.

    What free vectors reach at any margin may lie above it, never what they reach at margin gamma. O(d) steps of
    `log_binomial`. Raises ``InputError`` as there.
    """
    d, k = check_integer(d, "d", low=1), check_integer(k, "k", low=1)
    room = d * log1p(1 / _check_gamma(gamma))
    low, high = k, k + 1
    while log_binomial(high, k) <= room:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if log_binomial(middle, k) <= room else (low, middle)
    return low


def largest_margin(count: int, d: int) -> float:
    """Return the gamma above which d dimensions can't return ``count`` different sets of one size; at most 1.

    The bound solved for gamma, ``1 / (count^(1/d) - 1)``; the gap between relevant and irrelevant is twice gamma. Its
    proof asks only that no set contains another. O(1).
    """
    power = log(check_integer(count, "count", low=1)) / check_integer(d, "d", low=1)
    if power >= _LARGEST_LOG:
        return 0.0
    return min(1.0, 1 / expm1(power)) if power > 0 else 1.0


@dataclass(frozen=True)
class RankBounds:
    """``lower <= rank_rop <= upper``; ``changes`` is the number of sign changes around the best circle of documents."""

    lower: int
    upper: int
    changes: int


def sign_rank_bounds(relevance: ArrayLike) -> RankBounds:
    """Return bounds on the dimension in which the sets of a table ``(m, n)`` can be returned at all, at any margin.

    Below: Forster's bound, ``sign_rank >= sqrt(m n) / ||2A - 1||_2`` (Forster 2002, theorem 2.2), less 1; equal rows
    count once, since copies only weaken it. Above: the fewest of the distinct rows, of ``n - 1`` (corners of a
    simplex), of the changes along a line (polynomials of that degree, no constant needed) and of the changes around a
    circle (trigonometric polynomials of half the degree). At most 2 k for sets of k documents, for any n. Documents are
    tried in the given order and in that of the second singular vector. O(m n min(m, n)).
    """
    table = np.unique(check_relevance(relevance), axis=0)
    m, n = table.shape
    spectral = float(np.linalg.norm(2.0 * table - 1, 2))
    lower = max(1, int(np.ceil(np.sqrt(m * n) / spectral - 1e-9)) - 1)
    orders = [np.arange(n), np.argsort(_second_vector(table), kind="stable")]
    line = min(_changes(table[:, order]) for order in orders)
    circle = min(_changes(table[:, np.append(order, order[0])]) for order in orders)
    return RankBounds(lower, max(lower, min(m, n - 1, line, circle)), circle)


def published_critical_n(d: float) -> float:
    """Return the number of documents of which d dimensions returned every pair, by the published fit.

    ``-10.5322 + 4.0309 d + 0.0520 d^2 + 0.0037 d^3`` (Weller et al. 2025, figure of critical n; fitted to d of about
    45 at most). Raises ``InputError`` below d = 4, where the fit has no meaning.
    """
    d = check_real(d, "d", low=4)
    return -10.5322 + 4.0309 * d + 0.0520 * d**2 + 0.0037 * d**3


def _check_gamma(gamma: float) -> float:
    gamma = check_real(gamma, "gamma", low=0, high=1)
    if gamma == 0:
        raise InputError("gamma", got=0.0, expected="a number in (0, 1]")
    return gamma


def _second_vector(table: BoolArray) -> FloatArray:
    """Return the documents' coordinates in the second direction of the table scaled by its sums (spectral ordering)."""
    rows, columns = table.sum(1, dtype=float), np.maximum(table.sum(0, dtype=float), 1)
    _, _, right = np.linalg.svd(table / np.sqrt(rows[:, None] * columns), full_matrices=False)
    return np.asarray(right[min(1, len(right) - 1)] / np.sqrt(columns))


def _changes(table: BoolArray) -> int:
    return int((table[:, 1:] != table[:, :-1]).sum(1).max())
