"""The unit sphere with the angle as distance: where L2-normalised embeddings live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from spaceform.errors import InputError
from spaceform.geometry.arrays import Rows, direction, namespace, norm, ratio, safe_sqrt, why_not_rows
from spaceform.geometry.barycentre import karcher_mean, weighted_average

UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of a stored unit vector may be (half precision rounds by 5e-4)."""


def angle(a: Rows, b: Rows) -> Rows:
    """Return the angle ``(..., 1)`` in [0, pi] of unit rows ``(..., d)``.

    ``2 atan2(|a - b|, |a + b|)`` keeps full precision for nearly equal and nearly opposite rows, where the arc
    cosine loses half of the digits (Kahan).
    """
    result: Rows = 2 * namespace(a).arctan2(norm(a - b), norm(a + b))
    return result


def any_tangent(x: Rows) -> Rows:
    """Return some unit vector ``(..., d)`` tangent at each unit row ``x``: the one nearest to the weakest axis."""
    xp = namespace(x)
    axes = xp.abs(x).argmin(-1)
    unit = xp.eye(x.shape[-1], dtype=x.dtype)[axes] if xp is np else xp.eye(x.shape[-1]).to(x)[axes]
    return direction(unit - (unit * x).sum(-1)[..., None] * x)


@final
@dataclass(frozen=True)
class Sphere:
    """Unit vectors; the distance is the angle (radians), closeness the cosine.

    >>> import numpy as np
    >>> round(float(Sphere().distance(np.array([1.0, 0.0]), np.array([0.0, 1.0]))), 4)
    1.5708
    """

    def distance(self, a: Rows, b: Rows) -> Rows:
        """Return angles ``(...)`` in [0, pi] of unit points ``(..., d)`` that broadcast."""
        return angle(a, b)[..., 0]

    def closeness(self, a: Rows, b: Rows) -> Rows:
        """Return cosines ``(...)`` of unit points: larger is nearer."""
        return (a * b).sum(-1)

    def pairwise_distance(self, A: Rows, B: Rows) -> Rows:
        """Return angles ``(n, m)`` by one matrix product; those below ``sqrt(eps)`` carry rounding."""
        xp = namespace(A)
        cosine = A @ B.T
        result: Rows = 2 * xp.arctan2(safe_sqrt(1 - cosine), safe_sqrt(1 + cosine))
        return result

    def pairwise_closeness(self, A: Rows, B: Rows) -> Rows:
        """Return cosines ``(n, m)`` of unit rows by one matrix product."""
        return A @ B.T

    def project(self, x: Rows) -> Rows:
        """Return ``x / |x|``; a zero row has no direction and becomes the first axis."""
        xp = namespace(x)
        zero = norm(x) == 0
        axis = xp.zeros_like(x)
        axis[..., 0] = 1
        return direction(xp.where(zero, axis, x))

    def tangent(self, x: Rows, v: Rows) -> Rows:
        """Return the part of ``v (..., d)`` orthogonal to the unit points ``x``."""
        return v - (x * v).sum(-1)[..., None] * x

    def length(self, x: Rows, v: Rows) -> Rows:
        """Return the length ``(...)`` of tangent vectors ``v (..., d)`` at ``x``."""
        return norm(v)[..., 0]

    def exp(self, x: Rows, v: Rows) -> Rows:
        """Return ``cos|v| x + sin|v| v/|v|``: the end of the great-circle arc from ``x`` with tangent vector ``v``."""
        xp = namespace(x)
        reach = norm(v)
        return self.project(xp.cos(reach) * x + ratio(xp.sin, reach) * v)

    def log(self, x: Rows, y: Rows) -> Rows:
        """Return the tangent vector at ``x`` that leads to ``y``; at the antipode one of the shortest arcs is taken."""
        xp = namespace(x)
        across = self.tangent(x, y)
        opposite = (norm(across) <= 4 * float(xp.finfo(x.dtype).eps)) & ((x * y).sum(-1)[..., None] < 0)
        # near the antipode the difference has few digits, and they must be made tangent once more
        toward = direction(self.tangent(x, direction(across)))
        return angle(x, y) * xp.where(opposite, any_tangent(x + 0 * y), toward)

    def pull(self, x: Rows, points: Rows, weights: Rows) -> tuple[Rows, Rows]:
        """Return the weighted sum ``(d,)`` of the logarithms of ``points (n, d)`` at ``x (d,)``, and distances (n,)."""
        return (weights[:, None] * self.log(x[None], points)).sum(0), self.distance(x[None], points)

    def steepness(self, distances: Rows) -> Rows:
        """Return 1: on the sphere half the squared distance curves at most as in flat space."""
        return 0 * distances + 1

    def mean(self, points: Rows, weights: Rows | None = None) -> Rows:
        """Return the Frechet mean ``(d,)`` of unit ``points (n, d)`` within less than a quarter turn of each other.

        Raises ``InputError`` when the points balance out, since then no direction is theirs. O(n d) per step.
        """
        average = weighted_average(points, weights)
        eps = float(namespace(points).finfo(points.dtype).eps)
        if bool(norm(average)[0] <= 10 * eps):
            raise InputError("points", got="directions that balance out", expected="points with a mean direction")
        return karcher_mean(self, points, weights, start=direction(average))

    def check(self, x: Any) -> str | None:
        """Return why ``x`` does not hold unit rows, or None if it does."""
        reason = why_not_rows(x)
        if reason is None and bool((namespace(x).abs(norm(x) - 1) > UNIT_TOLERANCE).any()):
            reason = "a row is not of length 1"
        return reason
