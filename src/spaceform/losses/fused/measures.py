"""Closeness of two sets of rows, a block of rows at a time, and the way back for its gradient.

A measure hands out blocks ``(r, M)`` of closeness, larger is nearer, and takes back the derivative of a loss by that
block in the same tensor. It adds up the gradients of rows and columns, so that no block has to be kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

import torch

from spaceform.checks import check_choice, check_real
from spaceform.errors import InputError
from spaceform.geometry import poincare
from spaceform.geometry.ball import PoincareBall

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry

KINDS = ("dot", "distance", "squared")


class Measure(Protocol):
    """Blocks of closeness between ``rows (B, d)`` and ``columns (M, d)``, and the gradients of both."""

    row_gradient: torch.Tensor | None
    column_gradient: torch.Tensor | None

    def block(self, rows: slice) -> torch.Tensor:
        """Return the closeness ``(r, M)`` of some rows to all columns; it may be overwritten, and so may the last."""
        ...

    def add_gradient(self, rows: slice, weights: torch.Tensor) -> None:
        """Add the gradients for ``weights (r, M)``, the derivative of a loss by the block handed out last."""
        ...


def check_closeness(closeness: str | Geometry) -> str | Geometry:
    """Return a kind of closeness or a geometry; anything else is an ``InputError``."""
    if isinstance(closeness, str):
        return check_choice(closeness, "closeness", KINDS)
    if not callable(getattr(closeness, "pairwise_closeness", None)):
        raise InputError("closeness", got=repr(closeness), expected=f"one of {', '.join(KINDS)}, or a geometry")
    return closeness


def fused_kind(closeness: str | Geometry) -> str | None:
    """Return the kind that a closeness is one of, or None for a geometry that is none of them."""
    if isinstance(closeness, str):
        return closeness
    from spaceform.geometry.flat import Euclidean
    from spaceform.geometry.sphere import Sphere

    return "dot" if isinstance(closeness, Sphere) else "squared" if isinstance(closeness, Euclidean) else None


def check_margins(
    closeness: str | Geometry, positive_margin: float | None, negative_margin: float | None
) -> tuple[float, float]:
    """Return the closeness that positives should reach and that negatives should stay below.

    Margins are distances (0 and 1 unless given), or levels of the dot product (1 and 0.5), where positives must be at
    least as near as negatives; other margins raise an ``InputError``.
    """
    dot = fused_kind(closeness) == "dot"
    near = check_real((1.0 if dot else 0.0) if positive_margin is None else positive_margin, "positive_margin")
    far = check_real((0.5 if dot else 1.0) if negative_margin is None else negative_margin, "negative_margin")
    if (near < far) if dot else (near > far):
        what = "a positive_margin" + (" at or above" if dot else " at or below")
        raise InputError("negative_margin", got=f"{far} with positive_margin {near}", expected=f"{what} it")
    return (near, far) if dot else (-near, -far)


def measure(
    closeness: str | Geometry, rows: torch.Tensor, columns: torch.Tensor, *, wants: tuple[bool, bool]
) -> Measure:
    """Return the measure of a kind of closeness; ``wants`` says whether rows and columns want a gradient.

    ``"dot"``: the dot product; ``"distance"``: minus the Euclidean distance; ``"squared"``: minus its square; minus the
    distance in a Poincare ball; or another geometry, whose ``pairwise_closeness`` is differentiated by autograd, block
    by block. When ``columns`` is ``rows``, the two gradients are one tensor. A block costs O(r M d).
    """
    kind = fused_kind(closeness)
    if isinstance(closeness, PoincareBall):
        return _Ball(rows, columns, wants, closeness.curvature)
    if kind is None:
        return _Curved(closeness, rows, columns, wants)  # type: ignore[arg-type]  # strings have a kind
    return {"dot": _Dot, "distance": _Distance, "squared": _Squared}[kind](rows, columns, wants)


class _Dot:
    """The dot product: the cosine of unit rows."""

    def __init__(self, rows: torch.Tensor, columns: torch.Tensor, wants: tuple[bool, bool]) -> None:
        self.rows, self.columns = rows, columns
        self.row_gradient, self.column_gradient = _accumulators(rows, columns, wants)
        self._room = rows.new_empty(0)

    def block(self, rows: slice) -> torch.Tensor:
        return torch.mm(self.rows[rows], self.columns.T, out=self._space(rows))

    def add_gradient(self, rows: slice, weights: torch.Tensor) -> None:
        if self.row_gradient is not None:
            self.row_gradient[rows].addmm_(weights, self.columns)
        if self.column_gradient is not None:
            self.column_gradient.addmm_(weights.T, self.rows[rows])

    def _space(self, rows: slice) -> torch.Tensor:
        """One buffer for all blocks: fresh memory of this size costs more than the product that fills it."""
        height = len(self.rows[rows])
        if len(self._room) < height:
            self._room = self.rows.new_empty(height, len(self.columns))
        return self._room[:height]


class _Squared(_Dot):
    """Minus the squared distance, ``2 x.r - |x|^2 - |r|^2``, at most 0."""

    def __init__(self, rows: torch.Tensor, columns: torch.Tensor, wants: tuple[bool, bool]) -> None:
        super().__init__(rows, columns, wants)
        self._row_squares = (rows * rows).sum(1, keepdim=True)
        self._column_squares = (columns * columns).sum(1)

    def block(self, rows: slice) -> torch.Tensor:
        return self._squares(rows, sign=-1).clamp_(max=0)

    def add_gradient(self, rows: slice, weights: torch.Tensor) -> None:
        self._add(rows, weights, 2)

    def _squares(self, rows: slice, *, sign: int) -> torch.Tensor:
        """Return the squared distances ``(r, M)`` times a sign, with the rounding of a product."""
        out = self._space(rows)
        torch.addmm(self._column_squares, self.rows[rows], self.columns.T, beta=sign, alpha=-2 * sign, out=out)
        return out.add_(self._row_squares[rows], alpha=sign)

    def _add(self, rows: slice, weights: torch.Tensor, slope: float) -> None:
        """Add the gradient of ``-slope/2 sum weights |x - r|^2``."""
        if self.row_gradient is not None:
            gradient = self.row_gradient[rows].addmm_(weights, self.columns, alpha=slope)
            gradient.addcmul_(weights.sum(1, keepdim=True), self.rows[rows], value=-slope)
        if self.column_gradient is not None:
            gradient = self.column_gradient.addmm_(weights.T, self.rows[rows], alpha=slope)
            gradient.addcmul_(weights.sum(0)[:, None], self.columns, value=-slope)


@final
class _Distance(_Squared):
    """Minus the distance. It has no slope where rows meet: such pairs get none instead of an infinite one."""

    def __init__(self, rows: torch.Tensor, columns: torch.Tensor, wants: tuple[bool, bool]) -> None:
        super().__init__(rows, columns, wants)
        self._closeness = rows.new_empty(0)

    def block(self, rows: slice) -> torch.Tensor:
        distances = self._squares(rows, sign=1).clamp_(min=0).sqrt_()
        if len(self._closeness) < len(distances):
            self._closeness = torch.empty_like(distances)
        return torch.neg(distances, out=self._closeness[: len(distances)])

    def add_gradient(self, rows: slice, weights: torch.Tensor) -> None:
        steep = torch.threshold_(self._room[: len(weights)], 0, torch.inf)
        self._add(rows, weights.div_(steep), 1)


@final
class _Ball(_Squared):
    """Minus the distance in a Poincare ball, ``-(2 / sqrt c) arsinh(u)`` with ``u^2 = c |x - r|^2 / (g_x g_r)``.

    ``g_x = 1 - c |x|^2``. With ``q = u / sqrt(1 + u^2) / sqrt c`` the distance changes by ``q / s`` per unit of the
    squared Euclidean distance s, and by ``-q / g_x`` per unit of ``g_x``: matrix products again, as without curvature.
    """

    def __init__(self, rows: torch.Tensor, columns: torch.Tensor, wants: tuple[bool, bool], curvature: float) -> None:
        super().__init__(rows, columns, wants)
        self._c = curvature
        self._row_gap = poincare.gap(rows, curvature)
        self._column_gap = poincare.gap(columns, curvature).T
        least = float(torch.finfo(rows.dtype).eps)  # what the gap is clamped to: there it has no slope
        self._row_pull = torch.where(self._row_gap > least, 2 * curvature / self._row_gap, 0)
        self._column_pull = torch.where(self._column_gap > least, 2 * curvature / self._column_gap, 0).T
        self._squared = rows.new_empty(0)

    def block(self, rows: slice) -> torch.Tensor:
        squares = self._squares(rows, sign=1).clamp_(min=0)
        if len(self._squared) < len(squares):
            self._squared, self._sinh = torch.empty_like(squares), torch.empty_like(squares)
        self._squared[: len(squares)] = squares
        sinh = self._sinh[: len(squares)]
        torch.div(squares, self._row_gap[rows], out=sinh)
        sinh.div_(self._column_gap).mul_(self._c).sqrt_()
        # arsinh(u) = log(u + sqrt(1 + u^2)) = log1p(u + u^2 / (1 + sqrt(1 + u^2))): torch's asinh is not vectorised
        root = torch.mul(sinh, sinh, out=squares).add_(1).sqrt_().add_(1)
        torch.addcdiv(sinh, sinh * sinh, root, out=squares)
        return squares.log1p_().mul_(-2 / self._c**0.5)

    def add_gradient(self, rows: slice, weights: torch.Tensor) -> None:
        sinh, squared = self._sinh[: len(weights)], self._squared[: len(weights)]
        slopes = torch.mul(sinh, sinh).add_(1).rsqrt_().mul_(sinh).mul_(weights).div_(self._c**0.5)
        along_rows = slopes.sum(1, keepdim=True) * self._row_pull[rows]
        along_columns = slopes.sum(0)[:, None] * self._column_pull
        self._add(rows, slopes.div_(torch.threshold_(squared, 0, torch.inf)), 2)
        if self.row_gradient is not None:
            self.row_gradient[rows].addcmul_(along_rows, self.rows[rows], value=-1)
        if self.column_gradient is not None:
            self.column_gradient.addcmul_(along_columns, self.columns, value=-1)


@final
class _Curved:
    """The closeness of a geometry without a closed form here."""

    def __init__(self, geometry: Geometry, rows: torch.Tensor, columns: torch.Tensor, wants: tuple[bool, bool]) -> None:
        self._geometry, self._rows, self._columns = geometry, rows, columns
        self.row_gradient, self.column_gradient = _accumulators(rows, columns, wants)

    def block(self, rows: slice) -> torch.Tensor:
        with torch.enable_grad():
            self._ends = [
                (self._rows[rows].detach().requires_grad_(self.row_gradient is not None), rows),
                (self._columns.detach().requires_grad_(self.column_gradient is not None), slice(None)),
            ]
            self._block = self._geometry.pairwise_closeness(self._ends[0][0], self._ends[1][0])
        return self._block.detach().clone()

    def add_gradient(self, rows: slice, weights: torch.Tensor) -> None:
        for (end, part), total in zip(self._ends, (self.row_gradient, self.column_gradient), strict=True):
            if total is not None:
                total[part] += torch.autograd.grad(self._block, end, weights, retain_graph=True)[0]


def _accumulators(
    rows: torch.Tensor, columns: torch.Tensor, wants: tuple[bool, bool]
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    row_gradient = torch.zeros_like(rows) if wants[0] else None
    if columns is rows:
        return row_gradient, row_gradient
    return row_gradient, torch.zeros_like(columns) if wants[1] else None
