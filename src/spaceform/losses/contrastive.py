"""Contrastive loss: every pair on its own, positives within one margin and negatives beyond another."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from spaceform.checks import check_choice
from spaceform.losses.fused.blocks import Block, Weigh
from spaceform.losses.fused.fractional import share_mean
from spaceform.losses.fused.measures import check_margins
from spaceform.losses.fused.pair_loss import PairLoss, Sweep
from spaceform.ops.triplets import Batch

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry

REDUCTIONS = ("mean", "mean_active")


def contrastive(
    closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, *, near: float, far: float
) -> torch.Tensor:
    """Return the hinge ``(A, M)`` of every pair: ``[near - c]_+`` for positives, ``[c - far]_+`` for negatives.

    It is 0 outside ``mask``. ``closeness (A, M)``, larger is nearer; ``targets (A, M)`` bool, True for positives;
    ``mask (A, M)`` bool. Hadsell, Chopra and LeCun, CVPR 2006, with plain instead of squared hinges. O(A
    M).
    """
    hinge = torch.where(targets, near - closeness, closeness - far).clamp(min=0)
    return hinge.masked_fill(~mask, 0)


@final
class ContrastiveLoss(PairLoss):
    """Mean over positives of ``[D - positive_margin]_+`` plus mean over negatives of ``[negative_margin - D]_+``.

    Parameters: ``positive_margin`` (0) within which positives cost nothing, ``negative_margin`` (1) beyond which
    negatives cost nothing, both distances; with ``closeness="dot"`` (or on the sphere) they are levels of it instead:
    ``[positive_margin - c]_+`` and ``[c - negative_margin]_+``, 1 and 0.5 unless given.
    ``reduction``: ``"mean_active"`` averages over the pairs with a loss above 0, ``"mean"`` over all, positives and
    negatives apart. ``closeness`` (``"distance"``), ``normalize``, ``empty``: see
    :class:`~spaceform.losses.fused.pair_loss.PairLoss`.

    Raises ``InputError`` for bad batches, ``NoPairsError`` without positive or without negative pairs.
    O(B M d) time, memory of one block; ``"mean_active"`` costs one product more, which counts the active pairs.

    The defaults are those of pytorch-metric-learning; values differ only in that a batch without positives, or without
    negatives, is refused there by no one and here by default.

    >>> batch = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> round(float(ContrastiveLoss(reduction="mean")(batch, torch.tensor([0, 0, 1]))), 4)  # 0.8944 + (1 - 0.6325) / 2
    1.0782
    """

    joint = False

    def __init__(
        self,
        *,
        positive_margin: float | None = None,
        negative_margin: float | None = None,
        reduction: str = "mean_active",
        closeness: str | Geometry = "distance",
        normalize: bool = True,
        empty: str = "raise",
    ) -> None:
        super().__init__(closeness=closeness, normalize=normalize, empty=empty)
        self._near, self._far = check_margins(self.closeness, positive_margin, negative_margin)
        self.reduction = check_choice(reduction, "reduction", REDUCTIONS)

    def _weigher(self, batch: Batch, sweep: Sweep) -> Weigh:
        positives, negatives = float(batch.n_pairs), float(batch.n_negative_pairs)
        if self.reduction == "mean_active":
            positives, negatives = self._active(sweep)
        # the sum is divided by the number of negatives at the end
        divisor = max(1.0, negatives)
        weight = divisor / max(1.0, positives)

        def weigh(block: Block) -> tuple[torch.Tensor, float]:
            near, far = block.split()
            cost = block.positives(near.neg_().add_(self._near).clamp_(min=0), 0.0)
            values = weight * cost.sum(1) + far.sub_(self._far).clamp_(min=0).sum(1)
            far.sign_()
            block.add_positive(cost.sign_().mul_(-weight))
            return values, divisor if block.rows.start == 0 else 0.0

        return weigh

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        shares = targets.to(closeness.dtype)
        pull, push = (self._near - closeness).clamp(min=0), (closeness - self._far).clamp(min=0)
        near, far = mask & (shares > 0), mask & (shares < 1)
        if self.reduction == "mean_active":
            near, far = near & (pull > 0), far & (push > 0)
        return share_mean(pull, shares, near) + share_mean(push, 1 - shares, far)

    @torch.no_grad()
    def _active(self, sweep: Sweep) -> tuple[float, float]:
        """Return how many positives and negatives have a loss above 0."""
        near_count, far_count = 0.0, 0.0
        for block in sweep():
            near, far = block.split()
            near_count += float((block.positives(near, torch.inf) < self._near).sum())
            # numbers of one row are exact in single precision, and summed with vector instructions, unlike booleans
            far_count += float(far.sub_(self._far).clamp_(min=0).sign_().sum(1).double().sum())
        return near_count, far_count

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"positives at {self._near}, negatives at {self._far}, reduction={self.reduction}"
