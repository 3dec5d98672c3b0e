"""The Poincare ball as a geometry: hyperbolic space, whose volume grows exponentially, so that trees fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from spaceform.checks import check_real
from spaceform.errors import InputError
from spaceform.geometry import poincare
from spaceform.geometry.arrays import Rows, namespace, norm, ratio, why_not_rows
from spaceform.geometry.barycentre import karcher_mean, weighted_average


@final
@dataclass(frozen=True)
class PoincareBall:
    """Points with ``c |x|^2 < 1``, where ``c = curvature > 0`` and the sectional curvature is ``-c``.

    Distances are ``(2 / sqrt c) artanh(sqrt c |(-a) (+) b|)``; closeness is minus the distance. The functions
    expect points inside the ball (``check``), and keep values and gradients finite on its boundary.

    Parameters: ``curvature``, a positive number. Raises ``InputError`` for 0 or less: flat space is ``Euclidean``
    (the limit of this geometry for ``c`` to 0 is twice its distance).

    >>> import numpy as np
    >>> round(float(PoincareBall().distance(np.array([0.5, 0.0]), np.array([-0.5, 0.0]))), 5)
    2.19722
    """

    curvature: float = 1.0

    def __post_init__(self) -> None:
        try:
            check_real(self.curvature, "curvature", low=0, open_ends=True)
        except InputError as error:
            raise InputError(
                "curvature", got=error.got, expected="a number > 0", remedy="for flat space use Euclidean()"
            ) from None

    @property
    def radius(self) -> float:
        """The Euclidean radius ``1 / sqrt(curvature)`` of the ball."""
        return self.curvature**-0.5

    def distance(self, a: Rows, b: Rows) -> Rows:
        """Return distances ``(...)`` of points ``(..., d)`` that broadcast; gradient 0 where they meet."""
        return poincare.distance(a, b, self.curvature)[..., 0]

    def closeness(self, a: Rows, b: Rows) -> Rows:
        """Return minus the distances ``(...)``: larger is nearer."""
        return -self.distance(a, b)

    def pairwise_distance(self, A: Rows, B: Rows) -> Rows:
        """Return distances ``(n, m)`` of rows by one matrix product; O(n m) memory."""
        return poincare.pairwise_distance(A, B, self.curvature)

    def pairwise_closeness(self, A: Rows, B: Rows) -> Rows:
        """Return minus the distances ``(n, m)`` of rows."""
        return -self.pairwise_distance(A, B)

    def project(self, x: Rows) -> Rows:
        """Return ``x`` with rows beyond the ball pulled back inside, to ``1 - 1e-3`` of its radius (float64: 1e-5)."""
        return poincare.project(x, self.curvature)

    def tangent(self, x: Rows, v: Rows) -> Rows:
        """Return ``v``: every vector is tangent at ``x``."""
        return v

    def length(self, x: Rows, v: Rows) -> Rows:
        """Return the Riemannian length ``2 |v| / (1 - c |x|^2)`` of shape ``(...)`` of vectors ``v`` at ``x``."""
        return (poincare.conformal_factor(x, self.curvature) * norm(v))[..., 0]

    def exp(self, x: Rows, v: Rows) -> Rows:
        """Return where the geodesic from ``x`` with velocity ``v`` is after unit time."""
        return poincare.exp(x, v, self.curvature)

    def log(self, x: Rows, y: Rows) -> Rows:
        """Return the velocity at ``x`` of the geodesic that is at ``y`` after unit time."""
        return poincare.log(x, y, self.curvature)

    def pull(self, x: Rows, points: Rows, weights: Rows) -> tuple[Rows, Rows]:
        """Return the weighted sum ``(d,)`` of the logarithms of ``points (n, d)`` at ``x (d,)``, and distances (n,)."""
        return poincare.pull(x, points, weights, self.curvature)

    def steepness(self, distances: Rows) -> Rows:
        """Return ``z coth z`` with ``z = sqrt(c) d``: the largest second derivative of half the squared distance."""
        z = self.curvature**0.5 * distances
        return 1 / ratio(namespace(z).tanh, z)

    def mean(self, points: Rows, weights: Rows | None = None) -> Rows:
        """Return the Frechet mean ``(d,)`` of ``points (n, d)``; it is unique. O(n d) per step."""
        start = self.project(weighted_average(points, weights))
        return karcher_mean(self, points, weights, start=start)

    def check(self, x: Any) -> str | None:
        """Return why ``x`` does not hold points of the ball, or None if it does."""
        reason = why_not_rows(x)
        if reason is None and bool((self.curvature * (x * x).sum(-1) >= 1).any()):
            reason = f"a row is not inside the ball of radius {self.radius:g}"
        return reason
