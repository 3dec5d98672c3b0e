"""Supervised contrastive loss: every positive is picked out of all other rows, and the logarithms are averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from spaceform.checks import check_real
from spaceform.losses.fused.blocks import Block, Weigh
from spaceform.losses.fused.exponents import exponentiate, share
from spaceform.losses.fused.pair_loss import PairLoss, Sweep
from spaceform.ops.triplets import Batch

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry


def supcon(
    closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, *, temperature: float = 0.1
) -> torch.Tensor:
    """Return ``(A,)`` of ``-1/|P| sum_(p in P) log(exp(c_p / t) / sum_(a in P and N) exp(c_a / t))``.

    It is 0 for anchors without positives. ``closeness (A, M)``; ``targets (A, M)`` bool marks positives; ``mask (A,
    M)`` bool what counts at all. Khosla and others, NeurIPS 2020, equation 2 (the sum outside the logarithm). O(A M).
    """
    scores = closeness / temperature
    everyone = scores.masked_fill(~mask, -torch.inf).logsumexp(1, keepdim=True)
    positives = targets & mask
    missed = (everyone - scores).masked_fill(~positives, 0).sum(1)
    return missed / positives.sum(1).clamp(min=1)


@final
class SupConLoss(PairLoss):
    """Mean of :func:`supcon` over the anchors with a positive.

    Parameters: ``temperature`` (0.1, the setting of the paper) in units of the closeness. ``closeness`` (``"dot"``;
    minus the distance in a Poincare ball gives the hyperbolic form), ``normalize``, ``empty``: see
    :class:`~spaceform.losses.fused.pair_loss.PairLoss`.

    With two rows per class (two views of an item) it is NT-Xent. Raises ``InputError`` for bad batches,
    ``NoPairsError`` without positive or without negative pairs. O(B M d) time, memory of one block.

    Equal to pytorch-metric-learning's ``SupConLoss`` (which leaves anchors of loss 0 out of the mean, not only those
    without a positive; the two differ only where a loss underflows to 0).

    >>> batch = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> round(float(SupConLoss(temperature=1.0)(batch, torch.tensor([0, 0, 1]))), 4)  # (0.4375 + 0.7981) / 2
    0.6178
    """

    joint = True

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        closeness: str | Geometry = "dot",
        normalize: bool = True,
        empty: str = "raise",
    ) -> None:
        super().__init__(closeness=closeness, normalize=normalize, empty=empty)
        self.temperature = check_real(temperature, "temperature", low=0, open_ends=True)

    def _weigher(self, batch: Batch, sweep: Sweep) -> Weigh:
        scale = 1 / self.temperature

        def weigh(block: Block) -> tuple[torch.Tensor, torch.Tensor]:
            scores, window = block.closeness, block.near()
            near = block.positives(window, 0.0).sum(1, keepdim=True)
            block.hide_itself()
            total, everyone = exponentiate(scores, scale)
            has_positive = (block.n_positives > 0).to(scores.dtype)
            one = has_positive / block.n_positives.clamp(min=1)
            scores.mul_(share(scale * has_positive, total))
            block.add_positive(window.copy_(-scale * one))
            values = torch.where(has_positive > 0, everyone - scale * near * one, 0)[:, 0]
            return values, has_positive.sum()

        return weigh

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        shares, scores = targets.to(closeness.dtype), closeness / self.temperature
        everyone = scores.masked_fill(~mask, -torch.inf).logsumexp(1, keepdim=True)
        positives = mask & (shares > 0)
        missed = (shares * (everyone - scores)).masked_fill(~positives, 0).sum(1)
        counts = positives.sum(1)
        return (missed / counts.clamp(min=1)).sum() / (counts > 0).sum().clamp(min=1)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"temperature={self.temperature}"
