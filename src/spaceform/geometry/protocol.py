"""What every geometry offers; larger closeness always means nearer."""

from __future__ import annotations

from typing import Any, Protocol

from spaceform.geometry.arrays import Rows


class Geometry(Protocol):
    """A space of points ``(..., d)`` with a distance, a mean, and geodesics.

    Functions take NumPy arrays or torch tensors (all of one kind and precision), broadcast over leading axes and
    return the same kind. Points are trusted; ``check`` says whether they belong.
    """

    def distance(self, a: Rows, b: Rows) -> Rows:
        """Return distances ``(...)``."""
        ...

    def closeness(self, a: Rows, b: Rows) -> Rows:
        """Return a decreasing function of the distance, cheap and with finite gradient, of shape ``(...)``."""
        ...

    def pairwise_distance(self, A: Rows, B: Rows) -> Rows:
        """Return distances ``(n, m)`` of the rows of two matrices."""
        ...

    def pairwise_closeness(self, A: Rows, B: Rows) -> Rows:
        """Return closeness ``(n, m)`` of the rows of two matrices."""
        ...

    def project(self, x: Rows) -> Rows:
        """Return points of the space near ``x``; points of the space stay."""
        ...

    def tangent(self, x: Rows, v: Rows) -> Rows:
        """Return the part of ``v`` that is tangent at ``x``."""
        ...

    def length(self, x: Rows, v: Rows) -> Rows:
        """Return the length ``(...)`` of tangent vectors at ``x``."""
        ...

    def exp(self, x: Rows, v: Rows) -> Rows:
        """Return where the geodesic from ``x`` with velocity ``v`` is after unit time."""
        ...

    def log(self, x: Rows, y: Rows) -> Rows:
        """Return the velocity at ``x`` of a shortest geodesic to ``y``."""
        ...

    def mean(self, points: Rows, weights: Rows | None = None) -> Rows:
        """Return the Frechet mean ``(d,)`` of ``points (n, d)``: the least weighted sum of squared distances."""
        ...

    def check(self, x: Any) -> str | None:
        """Return why ``x`` does not hold points of the space, or None."""
        ...
