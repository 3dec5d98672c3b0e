"""The generic form of Metrix as a loss over a batch: for losses that one builds from their four functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import nn

from spaceform.checks import check_choice
from spaceform.losses.combination import Composable
from spaceform.losses.fused.blocks import attached_zero
from spaceform.losses.fused.fractional import PairSets
from spaceform.losses.fused.measures import check_closeness
from spaceform.losses.generic_pair import GenericPairLoss
from spaceform.ops.batches import check_batch
from spaceform.ops.triplets import has_triplets, label_order

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry


@final
class FormLoss(Composable, nn.Module):
    """Mean over all anchors of a :class:`~spaceform.losses.generic_pair.GenericPairLoss`, by autograd.

    Parameters: ``form``, such as ``contrastive_form()`` or one's own four functions; ``closeness`` (``"dot"``),
    ``normalize``, ``empty``: see :class:`~spaceform.losses.fused.pair_loss.PairLoss`.

    Raises ``InputError`` for bad batches, ``NoPairsError`` without positive or without negative pairs. O(B M d) time
    and O(B M) memory: where a fused loss of the same name exists, it is faster.

    >>> from spaceform.losses.generic_pair import contrastive_form
    >>> batch = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> loss = FormLoss(form=contrastive_form(0.5))
    >>> round(float(loss(batch, torch.tensor([0, 0, 1]))), 4)  # (-0.6 - 0.6 + 0.3 + 0.3) / 3
    -0.2
    """

    def __init__(
        self,
        *,
        form: GenericPairLoss,
        closeness: str | Geometry = "dot",
        normalize: bool = True,
        empty: str = "raise",
    ) -> None:
        super().__init__()
        self.form = form
        self.closeness = check_closeness(closeness)
        self.normalize = normalize
        self.empty = check_choice(empty, "empty", ("raise", "zero"))

    @property
    def joint(self) -> bool:
        """Whether the form takes the logarithm of its sums, so that they multiply."""
        return self.form.needs_both

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (B, d)`` with integer ``labels (B,)``, or against the reference."""
        sets = self.pair_sets(embeddings, labels, reference=reference, reference_labels=reference_labels)
        batch = label_order(
            sets.anchors.detach(),
            labels,
            reference=None if reference is None else sets.items.detach(),
            reference_labels=reference_labels,
        )
        if not has_triplets(batch, empty=self.empty):
            return attached_zero(sets.anchors.dtype, embeddings, reference)
        targets, mask = sets.masks()
        return self.fractional(sets.matrix(), targets, mask)

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

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        value: torch.Tensor = self.form(closeness, targets, mask).mean()
        return value
