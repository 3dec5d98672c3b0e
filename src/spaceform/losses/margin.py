"""Margin loss: every positive within one distance of its anchor, as many near negatives beyond another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import nn

from spaceform.checks import check_real
from spaceform.losses.fused.blocks import Block, Weigh
from spaceform.losses.fused.pair_loss import PairLoss, Sweep
from spaceform.ops.triplets import Batch


def margin_hinges(
    positive_distances: torch.Tensor, negative_distances: torch.Tensor, *, beta: float = 1.2, margin: float = 0.2
) -> torch.Tensor:
    """Return ``sum [d_ap - beta + margin]_+ + sum [beta - d_an + margin]_+`` over the number of terms above 0.

    Distances ``(T,)`` of positive and ``(S,)`` of negative pairs; a scalar, 0 where no term is active. Wu and others,
    ICCV 2017, equation 5 and section 4. O(T + S).
    """
    near = (positive_distances - beta + margin).clamp(min=0)
    far = (beta - negative_distances + margin).clamp(min=0)
    active = int((near > 0).sum()) + int((far > 0).sum())
    return (near.sum() + far.sum()) / max(1, active)


@final
class MarginLoss(PairLoss):
    """Margin loss on unit vectors with the nearest negatives beyond a cut-off, averaged over the terms above 0.

    :func:`margin_hinges` over every ordered positive pair and, for an anchor with K positives, over its K nearest rows
    of other classes among those at least ``cutoff`` away (fewer where there are fewer). Wu and others, ICCV 2017, for
    the hinges; dynamic subspace learners (Adiga V and others, JBHI 2022) for the choice of negatives.

    Parameters: ``beta`` (1.2), the distance between positives and negatives; ``margin`` (0.2) on both sides of it;
    ``learn_beta``: make ``beta`` a parameter, to be given to the optimiser too; ``cutoff`` (0.5): nearer negatives are
    passed over, being rows that no gradient tells apart; ``empty``: ``"raise"`` a ``NoPairsError`` for a batch without
    positive or without negative pairs, or return ``"zero"``.

    Raises ``InputError`` for NaN, zero vectors or labels of another length; ``NoPairsError``. O(B M (d + log K)) time,
    memory of one block. Coinciding positives have no slope, instead of an infinite one.

    pytorch-metric-learning's ``MarginLoss`` has the same hinges over triplets that a miner chose; it divides by the
    triplets with any loss, this one by the pairs with one.

    >>> batch = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> round(float(MarginLoss()(batch, torch.tensor([0, 0, 1]))), 4)  # pairs at 0.8944; 0.6325 is active: 1.4 - 0.6325
    0.7675
    """

    def __init__(
        self,
        *,
        beta: float = 1.2,
        margin: float = 0.2,
        learn_beta: bool = False,
        cutoff: float = 0.5,
        empty: str = "raise",
    ) -> None:
        super().__init__(closeness="distance", normalize=True, empty=empty)
        start = torch.tensor(check_real(beta, "beta", low=0, high=2, open_ends=True))
        self.margin = check_real(margin, "margin", low=0)
        self.cutoff = check_real(cutoff, "cutoff", low=0, high=2)
        self.learn_beta = learn_beta
        self.beta = nn.Parameter(start, requires_grad=learn_beta)
        self._balance = 0.0

    def _weigher(self, batch: Batch, sweep: Sweep) -> Weigh:
        beta, most = float(self.beta.detach()), int(batch.pairs.max())
        self._balance = 0.0

        def weigh(block: Block) -> tuple[torch.Tensor, float]:
            near, far = block.split()
            pull = block.positives(near.neg_().sub_(beta - self.margin).clamp_(min=0), 0.0)
            allowed = far.masked_fill_(far > -self.cutoff, -torch.inf)
            nearest, where = allowed.topk(min(most, allowed.shape[1]), dim=1)
            ranks = torch.arange(nearest.shape[1], device=nearest.device)
            push = (nearest + (beta + self.margin)).clamp_(min=0)
            push.masked_fill_(ranks >= block.n_positives, 0)
            values = pull.sum(1) + push.sum(1)
            pulled, pushed = pull.sign_(), push.sign_()
            far.zero_().scatter_(1, where, pushed)
            block.add_positive(-pulled)
            counts = float(pulled.sum()), float(pushed.sum())
            self._balance += counts[1] - counts[0]
            return values, sum(counts)

        return weigh

    def _parameter_gradients(
        self, batch: Batch, row_gradient: torch.Tensor | None
    ) -> Sequence[tuple[torch.Tensor, torch.Tensor]]:
        """The loss rises with ``beta`` by one for each active negative and falls by one for each active positive."""
        return [(self.beta, torch.full_like(self.beta, self._balance))] if self.learn_beta else ()

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"beta={float(self.beta):.3g}, margin={self.margin}, cutoff={self.cutoff}"
