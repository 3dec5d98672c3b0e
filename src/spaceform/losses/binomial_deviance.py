"""Binomial deviance: a logistic loss of every pair, positives and negatives averaged apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch.nn.functional import softplus

from spaceform.checks import check_real
from spaceform.losses.fused.blocks import Block, Weigh
from spaceform.losses.fused.exponents import LOWEST, small_exp
from spaceform.losses.fused.fractional import share_mean
from spaceform.losses.fused.pair_loss import PairLoss, Sweep
from spaceform.ops.triplets import Batch

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry


def binomial_deviance(
    closeness: torch.Tensor,
    targets: torch.Tensor,
    mask: torch.Tensor,
    *,
    alpha: float = 2.0,
    beta: float = 0.5,
    neg_cost: float = 25.0,
) -> torch.Tensor:
    """Return the loss of every pair ``(A, M)``, 0 outside ``mask``.

    ``log(1 + exp(-alpha (c - beta)))`` for positives, ``log(1 + exp(alpha neg_cost (c - beta)))`` for negatives.
    ``closeness (A, M)``; ``targets (A, M)`` bool marks positives. Yi, Lei and Li 2014, with the cost of
    negatives inside the exponent as in the code of ECAML. O(A M).
    """
    scores = alpha * (closeness - beta)
    return softplus(torch.where(targets, -scores, neg_cost * scores)).masked_fill(~mask, 0)


def logistic(scores: torch.Tensor) -> torch.Tensor:
    """Return the row sums of ``log(1 + exp(s))`` ``(r,)`` and overwrite ``scores (r, m)`` by ``1 / (1 + exp(-s))``.

    A tenth of the time of the functions of torch for scores far below 0, where most negatives of a trained network
    are; each logarithm is rounded like 1, which their sum does not feel.
    """
    highest = -LOWEST[scores.dtype]
    beyond = (scores - highest).clamp_(min=0).sum(1) if float(scores.amax()) > highest else 0.0
    small_exp(scores.clamp_(max=highest))
    total = scores + 1
    scores.div_(total)
    return total.log_().sum(1) + beyond


@final
class BinomialDevianceLoss(PairLoss):
    """Mean over positives plus mean over negatives of :func:`binomial_deviance`.

    Parameters: ``alpha`` (2), the slope; ``beta`` (0.5), the closeness in the middle; ``neg_cost`` (25), how much
    steeper negatives are (the settings of ECAML's code). ``closeness`` (``"dot"``), ``normalize``, ``empty``: see
    :class:`~spaceform.losses.fused.pair_loss.PairLoss`.

    Raises ``InputError`` for bad batches, ``NoPairsError`` without positive or without negative pairs. O(B M d) time,
    memory of two blocks. When every closeness is ``beta`` it is ``2 log 2`` whatever the counts.

    >>> batch = torch.tensor([[1.0, 0.0], [0.5, 0.75**0.5], [0.5, -(0.75**0.5)]])
    >>> round(float(BinomialDevianceLoss()(batch, torch.tensor([0, 0, 1]))), 4)  # log 2 + (log 2 + 0) / 2
    1.0397
    """

    joint = False

    def __init__(
        self,
        *,
        alpha: float = 2.0,
        beta: float = 0.5,
        neg_cost: float = 25.0,
        closeness: str | Geometry = "dot",
        normalize: bool = True,
        empty: str = "raise",
    ) -> None:
        super().__init__(closeness=closeness, normalize=normalize, empty=empty)
        self.alpha = check_real(alpha, "alpha", low=0, open_ends=True)
        self.beta = check_real(beta, "beta")
        self.neg_cost = check_real(neg_cost, "neg_cost", low=0, open_ends=True)

    def _weigher(self, batch: Batch, sweep: Sweep) -> Weigh:
        weight_near, weight_far = 1 / max(1, batch.n_pairs), 1 / max(1, batch.n_negative_pairs)
        steep = self.alpha * self.neg_cost

        def weigh(block: Block) -> tuple[torch.Tensor, float]:
            near, far = block.split()
            near = block.positives(near.sub_(self.beta).mul_(-self.alpha), -torch.inf)
            values = weight_near * logistic(near) + weight_far * logistic(far.sub_(self.beta).mul_(steep))
            far.mul_(steep * weight_far)
            block.add_positive(near.mul_(-self.alpha * weight_near))
            return values, 0.0

        return weigh

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        shares, scores = targets.to(closeness.dtype), self.alpha * (closeness - self.beta)
        pull = share_mean(softplus(-scores), shares, mask & (shares > 0))
        return pull + share_mean(softplus(self.neg_cost * scores), 1 - shares, mask & (shares < 1))

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"alpha={self.alpha}, beta={self.beta}, neg_cost={self.neg_cost}"
