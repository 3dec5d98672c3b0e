"""The frame of every loss over the pairs of a batch: what is common to all, so that each file holds one idea."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from spaceform.checks import check_choice
from spaceform.losses.combination import Composable
from spaceform.losses.fused.blocks import Block, Weigh, attach, attached_zero, before_norm, blocks, in_order, sum_blocks
from spaceform.losses.fused.fractional import PairSets
from spaceform.losses.fused.measures import check_closeness, measure
from spaceform.ops.batches import check_batch
from spaceform.ops.triplets import Batch, has_triplets, label_order

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry

Sweep = Callable[[], Iterator[Block]]
"""Goes over the blocks of the batch once more, for what a loss must know before it can weigh the first."""


class PairLoss(Composable, nn.Module, ABC):
    """A loss that is a sum of terms of the rows of a closeness matrix, divided by their number.

    Subclasses say how one block is weighed. Parameters: ``closeness`` ``"dot"`` (the cosine of unit rows),
    ``"distance"``, ``"squared"`` (minus the Euclidean distance or its square) or a geometry; ``normalize``: bring rows
    to unit length first (for a curved geometry whose points are not of unit length say False); ``empty``: ``"raise"``
    a ``NoPairsError`` for a batch without positive or without negative pairs, or return ``"zero"``.
    """

    def __init__(self, *, closeness: str | Geometry, normalize: bool, empty: str) -> None:
        super().__init__()
        self.closeness = check_closeness(closeness)
        self.normalize = normalize
        self.empty = check_choice(empty, "empty", ("raise", "zero"))

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (B, d)`` with integer ``labels (B,)``.

        With ``reference (M, d)`` and ``reference_labels (M,)`` every row is compared with those (none of which counts
        as the row itself) instead of the rest of the batch. Raises ``InputError`` for NaN, zero vectors or labels of
        another length; ``NoPairsError``. O(B M d) time, memory of one block of B x M closeness and of the gradients.
        """
        with torch.no_grad():
            rows, columns = check_batch(
                embeddings, labels, reference=reference, reference_labels=reference_labels, normalize=self.normalize
            )
            batch = label_order(rows, labels, reference=columns, reference_labels=reference_labels)
        if not has_triplets(batch, empty=self.empty):
            return attached_zero(rows.dtype, embeddings, reference)
        second = None if reference is None or columns is None else (reference, columns)
        return self._sum(batch, (embeddings, rows), second)

    def pair_sets(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> PairSets:
        """Return what is compared for a batch: rows with rows, or with the reference."""
        rows, columns = check_batch(
            embeddings, labels, reference=reference, reference_labels=reference_labels, normalize=self.normalize
        )
        return PairSets.of_rows(
            (rows, labels), (columns, reference_labels), closeness=self.closeness, unit=self.normalize
        )

    @abstractmethod
    def _weigher(self, batch: Batch, sweep: Sweep) -> Weigh:
        """Return what weighs a block of this batch; ``sweep`` goes over the blocks, at the price of a product."""

    def _parameter_gradients(
        self, batch: Batch, row_gradient: torch.Tensor | None
    ) -> Sequence[tuple[torch.Tensor, torch.Tensor]]:
        """Return learned parameters with the gradient of the sum, given that of the rows in label order."""
        return ()

    def _sum(
        self,
        batch: Batch,
        rows: tuple[torch.Tensor, torch.Tensor],
        columns: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> torch.Tensor:
        """Sum up a batch; ``rows`` and ``columns`` are as they were given and as they are compared."""
        learns = torch.is_grad_enabled()
        wants_rows = learns and (rows[0].requires_grad or any(p.requires_grad for p in self.parameters()))
        wants_columns = learns and columns is not None and columns[0].requires_grad
        compared = measure(self.closeness, batch.rows, batch.columns, wants=(wants_rows, wants_columns))
        weigh = self._weigher(batch, lambda: blocks(batch, compared))
        value, counted = sum_blocks(batch, compared, weigh)
        scale = 1 / max(1.0, counted)
        known: list[tuple[torch.Tensor | None, torch.Tensor | None]] = [
            (rows[0], self._returned(compared.row_gradient, batch.row_order, scale, rows))
        ]
        if columns is not None:
            known.append((columns[0], self._returned(compared.column_gradient, batch.column_order, scale, columns)))
        for parameter, gradient in self._parameter_gradients(batch, compared.row_gradient):
            known.append((parameter, gradient * scale))
        return attach((value * scale).to(batch.rows.dtype), *known)

    def _returned(
        self,
        gradient: torch.Tensor | None,
        order: torch.Tensor,
        scale: float,
        rows: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor | None:
        """Bring a gradient in label order back to the rows as they were given."""
        gradient = in_order(gradient, order, scale)
        return before_norm(gradient, rows[1], rows[0].detach()) if self.normalize else gradient
