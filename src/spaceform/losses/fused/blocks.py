"""The pairs of a batch in label order, a block of rows at a time, and what a loss adds up over them.

In label order the positives of a row are one stretch of columns, which is gathered into a narrow window; all other
columns are negatives, so that no mask of the size of the block is ever built. A loss turns a block of closeness into
the value of each row and, in the same tensor, into the derivative of that value by the closeness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from spaceform.losses.fused.measures import Measure
from spaceform.ops.triplets import Batch

BLOCK, LARGEST = 2**19, 2**24
"""Entries of a block on a CPU: 2 MB of float32, near the cache; with many columns up to 64 MB for ``FEWEST_ROWS``."""
FEWEST_ROWS, MOST_ROWS = 64, 256
"""Rows of a block between which the product runs at full speed and the block stays small (measured at d = 128)."""
DEVICE_BLOCK = 2**26
"""Entries of a block on other devices."""


@dataclass(frozen=True)
class Block:
    """Some rows of the closeness matrix of a batch in label order.

    ``closeness (r, M)`` of ``rows`` to all columns. ``window (r, w)`` lists for every row the columns with its label.
    Where rows have different numbers of them, ``padding (r, w)`` marks the rest, which repeats the first of the list
    (or a column of another label, if there is none); ``own (r, 1)`` is the place of the row itself, if it is a column.
    ``n_positives``, ``n_negatives (r, 1)`` count both in the precision of the closeness.
    """

    rows: slice
    closeness: torch.Tensor
    window: torch.Tensor
    padding: torch.Tensor | None
    own: torch.Tensor | None
    n_positives: torch.Tensor
    n_negatives: torch.Tensor

    def near(self) -> torch.Tensor:
        """Return a copy of the window of the closeness ``(r, w)``."""
        return self.closeness.gather(1, self.window)

    def positives(self, near: torch.Tensor, other: float) -> torch.Tensor:
        """Fill a window ``(r, w)`` with ``other`` in place where it is no positive, and return it."""
        if self.padding is not None:
            near.masked_fill_(self.padding, other)
        return near if self.own is None else near.scatter_(1, self.own, other)

    def split(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the window ``(r, w)`` as a copy, and all of the block ``(r, M)`` with -inf where it is no negative."""
        near = self.near()
        self.hide()
        return near, self.closeness

    def hide(self) -> None:
        """Put -inf into the block where it is no negative."""
        alone = None
        if self.padding is not None:
            alone = self.padding.all(1, keepdim=True)
            first = self.window[:, :1]
            kept = self.closeness.gather(1, first)
        self.closeness.scatter_(1, self.window, -torch.inf)
        if alone is not None:
            self.closeness.scatter_(1, first, kept.masked_fill_(~alone, -torch.inf))

    def hide_itself(self) -> None:
        """Put -inf into the block where a row meets itself."""
        if self.own is not None:
            self.closeness.scatter_(1, self.window.gather(1, self.own), -torch.inf)

    def add_positive(self, weights: torch.Tensor) -> None:
        """Add the derivatives ``(r, w)`` of the positives to the block; what else is in the window is overwritten."""
        self.closeness.scatter_add_(1, self.window, self.positives(weights, 0.0))


Weigh = Callable[[Block], tuple[torch.Tensor, Any]]
"""Turns the closeness of a block into derivatives; returns the values ``(r,)`` and how many terms they count."""


def row_slices(n_rows: int, n_columns: int, device: torch.device) -> Iterator[slice]:
    """Yield slices of rows for blocks of ``n_columns`` columns."""
    n_columns = max(1, n_columns)
    if device.type == "cpu":
        step = min(max(FEWEST_ROWS, BLOCK // n_columns), MOST_ROWS, max(1, LARGEST // n_columns))
    else:
        step = max(1, DEVICE_BLOCK // n_columns)
    for first in range(0, n_rows, step):
        yield slice(first, min(n_rows, first + step))


def blocks(batch: Batch, measure: Measure) -> Iterator[Block]:
    """Yield the blocks of a batch; each must be used up before the next is asked for."""
    height, width = len(batch.rows), len(batch.columns)
    dtype, device = batch.rows.dtype, batch.rows.device
    within = batch.items is not None
    numbers = torch.arange(height, device=device)[:, None]
    for rows in row_slices(height, width, device):
        starts, counts = batch.starts[rows, None], batch.counts[rows, None]
        most = int(counts.max())
        places = torch.arange(max(1, most), device=device)
        padding = None
        if int(counts.min()) < max(1, most):
            padding = places >= counts
            places = torch.where(padding, 0, places)
        yield Block(
            rows=rows,
            closeness=measure.block(rows),
            window=(starts + places).clamp_(max=width - 1),
            padding=padding,
            own=numbers[rows] - starts if within else None,
            n_positives=batch.pairs[rows, None].to(dtype),
            n_negatives=(width - counts).to(dtype),
        )


@torch.no_grad()
def sum_blocks(batch: Batch, measure: Measure, weigh: Weigh) -> tuple[torch.Tensor, float]:
    """Return the sum of a loss over the rows of a batch (float64) and over how many terms it goes.

    The gradients of the sum are added up in the measure. O(B M d) time, memory of one block.
    """
    value = torch.zeros((), dtype=torch.float64, device=batch.rows.device)
    counted = torch.zeros_like(value)
    # autocast would round the products to half precision, which loses the differences that a loss lives on
    with torch.autocast(batch.rows.device.type, enabled=False):
        for block in blocks(batch, measure):
            values, terms = weigh(block)
            value += values.sum(dtype=torch.float64)
            counted += terms
            measure.add_gradient(block.rows, block.closeness)
    return value, float(counted)


def in_order(gradient: torch.Tensor | None, order: torch.Tensor, scale: float) -> torch.Tensor | None:
    """Return a gradient, scaled, with its rows brought back from label order to the order in which they were given."""
    return None if gradient is None else torch.empty_like(gradient).index_copy_(0, order, gradient).mul_(scale)


def before_norm(gradient: torch.Tensor | None, unit: torch.Tensor, raw: torch.Tensor) -> torch.Tensor | None:
    """Return the gradient by ``raw (B, d)`` for that by ``unit = raw / |raw|``; it is orthogonal to ``raw``.

    Written out, because autograd takes eight passes over the rows for it.
    """
    if gradient is None:
        return None
    lengths = (raw * unit).sum(1, keepdim=True)
    along = (gradient * unit).sum(1, keepdim=True)
    return gradient.addcmul_(along, unit, value=-1).div_(lengths)


def attach(value: torch.Tensor, *known: tuple[torch.Tensor | None, torch.Tensor | None]) -> torch.Tensor:
    """Return the scalar ``value`` with gradients given as pairs of a tensor and its gradient; pairs with None drop out.

    There is no second derivative.
    """
    pairs = [(tensor, gradient) for tensor, gradient in known if tensor is not None and gradient is not None]
    tensors, gradients = [t for t, _ in pairs], [g for _, g in pairs]
    attached: torch.Tensor = _Attached.apply(value, len(pairs), *tensors, *gradients)
    return attached


def attached_zero(dtype: torch.dtype, *tensors: torch.Tensor | None) -> torch.Tensor:
    """Return 0 with a graph to the tensors, so that ``backward`` gives them zeros."""
    given = [tensor for tensor in tensors if tensor is not None]
    return torch.stack([(tensor * 0).sum() for tensor in given]).sum().to(dtype)


class _Attached(torch.autograd.Function):
    """A scalar whose gradients are already known."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, count: int, *tensors: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(*tensors[count:])
        return value.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradients = ctx.saved_tensors
        return (None, None, *(output * gradient for gradient in gradients), *(None for _ in gradients))
