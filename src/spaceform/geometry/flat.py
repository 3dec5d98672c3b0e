"""Flat space: what the curved ones become as their curvature goes to 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from spaceform.geometry.arrays import Rows, norm, safe_sqrt, why_not_rows
from spaceform.geometry.barycentre import weighted_average


def squared_distances(A: Rows, B: Rows) -> Rows:
    """Return squared distances ``(n, m)`` of the rows of ``A (n, d)`` and ``B (m, d)``: one matrix product, O(n m d).

    The absolute error is about ``eps (|a|^2 + |b|^2)``.
    """
    squares_a = (A * A).sum(-1)[:, None]
    squares_b = (B * B).sum(-1)[None, :]
    return (squares_a + squares_b - 2 * (A @ B.T)).clip(min=0)


@final
@dataclass(frozen=True)
class Euclidean:
    """Flat space R^d with the Euclidean distance; closeness is minus the squared distance.

    >>> import numpy as np
    >>> float(Euclidean().distance(np.array([0.0, 0.0]), np.array([3.0, 4.0])))
    5.0
    """

    def distance(self, a: Rows, b: Rows) -> Rows:
        """Return ``|a - b|`` of shape ``(...)`` for points ``(..., d)`` that broadcast; gradient 0 where they meet."""
        return norm(a - b)[..., 0]

    def closeness(self, a: Rows, b: Rows) -> Rows:
        """Return ``-|a - b|^2`` of shape ``(...)``: larger is nearer, smooth everywhere."""
        difference = a - b
        return -(difference * difference).sum(-1)

    def pairwise_distance(self, A: Rows, B: Rows) -> Rows:
        """Return distances ``(n, m)`` of the rows of ``A (n, d)`` and ``B (m, d)`` by one matrix product."""
        return safe_sqrt(squared_distances(A, B))

    def pairwise_closeness(self, A: Rows, B: Rows) -> Rows:
        """Return closeness ``(n, m)`` of the rows of ``A (n, d)`` and ``B (m, d)`` by one matrix product."""
        return -squared_distances(A, B)

    def project(self, x: Rows) -> Rows:
        """Return ``x``: every finite point belongs."""
        return x

    def tangent(self, x: Rows, v: Rows) -> Rows:
        """Return ``v``: every vector is tangent at ``x``."""
        return v

    def length(self, x: Rows, v: Rows) -> Rows:
        """Return the length ``(...)`` of the vectors ``v (..., d)`` at ``x``."""
        return norm(v)[..., 0]

    def exp(self, x: Rows, v: Rows) -> Rows:
        """Return ``x + v``: where one arrives from ``x`` with velocity ``v`` after unit time."""
        return x + v

    def log(self, x: Rows, y: Rows) -> Rows:
        """Return ``y - x``: the velocity that leads from ``x`` to ``y`` in unit time."""
        return y - x

    def mean(self, points: Rows, weights: Rows | None = None) -> Rows:
        """Return the weighted average ``(d,)`` of ``points (n, d)``, the minimiser of the squared distances.

        ``weights (n,)`` are non-negative, not all 0 (else ``InputError``). O(n d).
        """
        return weighted_average(points, weights)

    def check(self, x: Any) -> str | None:
        """Return why ``x`` does not hold points of this space, or None if it does."""
        return why_not_rows(x)
