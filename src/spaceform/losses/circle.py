"""Circle loss: each pair is weighed by how far its cosine is from where it should be."""

from __future__ import annotations

from typing import final

import torch
from torch import nn
from torch.nn.functional import softplus

from spaceform.checks import check_real
from spaceform.losses.fused.blocks import Block, Weigh
from spaceform.losses.fused.exponents import exponentiate, share
from spaceform.losses.fused.fractional import with_both
from spaceform.losses.fused.pair_loss import PairLoss, Sweep
from spaceform.losses.generic_pair import GenericPairLoss
from spaceform.ops.triplets import Batch


def circle(
    closeness: torch.Tensor,
    targets: torch.Tensor,
    mask: torch.Tensor,
    *,
    margin: float = 0.4,
    gamma: float = 80.0,
    fixed_weights: bool = True,
) -> torch.Tensor:
    """Return ``(A,)`` of ``log(1 + sum_N exp(gamma a_n (c_n - m)) sum_P exp(-gamma a_p (c_p - 1 + m)))``.

    It is 0 where either set is empty. The weights are ``a_n = [c_n + m]_+`` and ``a_p = [1 + m - c_p]_+``; with
    ``fixed_weights`` no gradient flows through them. ``closeness (A, M)`` are cosines; ``targets (A, M)`` bool marks
    positives; ``mask (A, M)`` bool what counts at all. Sun and others, CVPR 2020, the form for pairs. O(A M).
    """
    c = closeness.detach() if fixed_weights else closeness
    far = gamma * (c + margin).clamp(min=0) * (closeness - margin)
    near = -gamma * (1 + margin - c).clamp(min=0) * (closeness - 1 + margin)
    far = far.masked_fill(targets | ~mask, -torch.inf).logsumexp(1)
    near = near.masked_fill(~(targets & mask), -torch.inf).logsumexp(1)
    both = torch.isfinite(far) & torch.isfinite(near)
    return torch.where(both, softplus(torch.where(both, far + near, 0)), 0)


@final
class CircleLoss(PairLoss):
    """Mean of :func:`circle` over the anchors with positives and negatives, on cosines.

    Parameters: ``margin`` (0.4) and ``gamma`` (80), the paper's for fine-grained retrieval; 0.25 and 256 for faces,
    0.25 and 128 for re-identification. ``fixed_weights``: no gradient through the weights of the pairs,
    as the paper's gradients have it; else the gradient is the derivative of the value. ``empty``: see
    :class:`~spaceform.losses.fused.pair_loss.PairLoss`.

    Made for cosines: its optima are 1 + margin and -margin, so no other closeness is offered. Raises ``InputError`` for
    bad batches, ``NoPairsError`` without positive or without negative pairs. O(B M d) time, memory of three blocks.

    Equal to pytorch-metric-learning's ``CircleLoss`` (which leaves anchors whose loss underflows to 0 out of the mean).

    >>> batch = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> round(float(CircleLoss(gamma=1.0)(batch, torch.tensor([0, 0, 1]))), 4)  # (0.6163 + 0.9617) / 2
    0.789
    """

    joint = True

    def __init__(
        self, *, margin: float = 0.4, gamma: float = 80.0, fixed_weights: bool = True, empty: str = "raise"
    ) -> None:
        super().__init__(closeness="dot", normalize=True, empty=empty)
        self.margin = check_real(margin, "margin", low=0, high=1)
        self.gamma = check_real(gamma, "gamma", low=0, open_ends=True)
        self.fixed_weights = fixed_weights

    def _weigher(self, batch: Batch, sweep: Sweep) -> Weigh:
        return self._weigh

    def _weigh(self, block: Block) -> tuple[torch.Tensor, torch.Tensor]:
        far, margin, gamma = block.closeness, self.margin, self.gamma
        near = block.near()
        push, pull = (far + margin).clamp_(min=0), (1 + margin - near).clamp_(min=0)
        near = block.positives(near.sub_(1 - margin).mul_(pull).neg_(), -torch.inf)
        far.sub_(margin).mul_(push)
        block.hide()
        if not self.fixed_weights:
            push.mul_(2).sub_(2 * margin * push.sign())
            pull.mul_(2).sub_(2 * margin * pull.sign())
        total_far, log_far = exponentiate(far, gamma)
        total_near, log_near = exponentiate(near, gamma)
        both = (block.n_positives > 0) & (block.n_negatives > 0)
        joint = torch.where(both, log_far + log_near, 0)
        slope = gamma * torch.sigmoid(joint) * both
        far.mul_(push).mul_(share(slope, total_far))
        block.add_positive(near.mul_(pull).mul_(share(-slope, total_near)))
        return torch.where(both, softplus(joint), 0)[:, 0], both.sum()

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        gamma, margin = self.gamma, self.margin
        weigh = (lambda s: s.detach()) if self.fixed_weights else (lambda s: s)
        form = GenericPairLoss(
            rho_pos=lambda s: -gamma * (1 + margin - weigh(s)).clamp(min=0) * (s - 1 + margin),
            rho_neg=lambda s: gamma * (weigh(s) + margin).clamp(min=0) * (s - margin),
            sigma_pos=nn.Identity(),
            sigma_neg=nn.Identity(),
            outer=softplus,
            exponential=True,
            needs_both=True,
        )
        return form(closeness, targets, mask).sum() / with_both(targets, mask).clamp(min=1)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"margin={self.margin}, gamma={self.gamma}"
