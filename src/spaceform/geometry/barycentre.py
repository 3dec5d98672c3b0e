"""Weighted means of points: the average, and the Frechet mean by Riemannian descent (Karcher's iteration)."""

from __future__ import annotations

from typing import Protocol

from spaceform.errors import InputError
from spaceform.geometry.arrays import Rows, namespace

MAX_STEPS = 200
"""Descent converges linearly (strongly convex wherever the mean is unique); more steps mean a hopeless spread."""


class Curved(Protocol):
    """What the iteration needs of a geometry."""

    def exp(self, x: Rows, v: Rows) -> Rows:
        """Map tangent vectors at ``x`` to points."""
        ...

    def pull(self, x: Rows, points: Rows, weights: Rows) -> tuple[Rows, Rows]:
        """Return the weighted sum ``(d,)`` of the logarithms of ``points`` at ``x (d,)``, and distances ``(n,)``."""
        ...

    def steepness(self, distances: Rows) -> Rows:
        """Bound the second derivative of half the squared distance at ``distances``."""
        ...

    def length(self, x: Rows, v: Rows) -> Rows:
        """Return lengths of tangent vectors at ``x``."""
        ...


def normalized_weights(points: Rows, weights: Rows | None) -> Rows:
    """Return ``weights (n, 1)`` with sum 1 (equal for None).

    Raises ``InputError`` for another length than ``points``, negative or not finite weights, and weights that
    are all 0.
    """
    xp = namespace(points)
    if points.ndim != 2 or len(points) == 0:
        raise InputError("points", got=f"shape {tuple(points.shape)}", expected="shape (n, d) with n >= 1")
    if weights is None:
        return xp.ones_like(points[:, :1]) / len(points)
    given = xp.asarray(weights, dtype=points.dtype)
    if given.shape != points.shape[:1]:
        raise InputError("weights", got=f"shape {tuple(given.shape)}", expected=f"shape ({len(points)},)")
    total = given.sum()
    if not bool(xp.isfinite(given).all()) or bool((given < 0).any()) or not bool(total > 0):
        raise InputError("weights", got="NaN, a negative number or only zeros", expected="non-negative, not all 0")
    return given[:, None] / total


def weighted_average(points: Rows, weights: Rows | None) -> Rows:
    """Return the weighted average ``(d,)`` of ``points (n, d)``. O(n d)."""
    return (normalized_weights(points, weights) * points).sum(0)


def karcher_mean(geometry: Curved, points: Rows, weights: Rows | None, *, start: Rows) -> Rows:
    """Return the minimiser ``(d,)`` of ``sum_i w_i d(x, points_i)^2`` near ``start``, by gradient descent.

    The gradient of half the objective is ``-sum_i w_i log_x(points_i)``; the step is the inverse of a bound on its
    second derivative, so that each step goes down (Karcher 1977; Afsari, Tron and Vidal 2013). Stops at relative
    gradient ``100 eps``. Each step costs O(n d); rows of torch tensors stay differentiable (unrolled).
    """
    xp = namespace(points)
    share = normalized_weights(points, weights)[:, 0]
    tolerance = 100 * float(xp.finfo(points.dtype).eps)
    x = start
    for _ in range(MAX_STEPS):
        step, distances = geometry.pull(x, points, share)
        bound = (share * geometry.steepness(distances)).sum()
        scale = (share * distances).sum()
        arrived = bool(geometry.length(x, step) <= tolerance * (scale + tolerance))
        x = geometry.exp(x, step / bound)
        if arrived:
            break
    return x
