"""Lifted structure losses: positives against a soft maximum over all negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import nn

from spaceform.losses.fused.blocks import Block, Weigh
from spaceform.losses.fused.exponents import exponentiate, share, small_exp
from spaceform.losses.fused.fractional import with_both
from spaceform.losses.fused.measures import check_margins
from spaceform.losses.fused.pair_loss import PairLoss, Sweep
from spaceform.losses.generic_pair import GenericPairLoss
from spaceform.ops.triplets import Batch

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry


def generalized_lifted(
    closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, *, near: float, far: float
) -> torch.Tensor:
    """Return ``(A,)`` of ``[log sum_P exp(near - c) + log sum_N exp(c - far)]_+``, 0 where either set is empty.

    ``closeness (A, M)``; ``targets (A, M)`` bool marks positives; ``mask (A, M)`` bool what counts at all. Hermans,
    Beyer and Leibe 2017 (their margin is ``near - far``). O(A M).
    """
    pull = (near - closeness).masked_fill(~(targets & mask), -torch.inf).logsumexp(1)
    push = (closeness - far).masked_fill(targets | ~mask, -torch.inf).logsumexp(1)
    both = torch.isfinite(pull) & torch.isfinite(push)
    return torch.where(both, torch.where(both, pull + push, 0).clamp(min=0), 0)


def lifted_structure(
    closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, *, near: float, far: float
) -> torch.Tensor:
    """Return ``(A,)`` of ``sum_(p in P) [J_ap]_+^2 / 2``.

    ``J_ap = log(sum_N(a) exp(c - far) + sum_N(p) exp(c - far)) + near - c_ap``. The negatives of the anchor and of the
    positive push together, so ``closeness (A, A)`` is that of one set with itself. Song and others, CVPR 2016. O(A^2).
    """
    push = (closeness - far).masked_fill(targets | ~mask, -torch.inf).logsumexp(1)
    excess = torch.logaddexp(push[:, None], push[None, :]) + near - closeness
    return (excess.clamp(min=0) ** 2 / 2).masked_fill(~(targets & mask), 0).sum(1)


@final
class GeneralizedLiftedLoss(PairLoss):
    """Mean over anchors of ``[log sum_P exp(D - positive_margin) + log sum_N exp(negative_margin - D)]_+``.

    Only anchors with positives and negatives count. Parameters: ``positive_margin`` (0) and ``negative_margin`` (1) are
    distances; with ``closeness="dot"`` (or on the sphere) they are levels of it (1, 0.5). ``closeness``
    (``"distance"``), ``normalize``, ``empty``: see :class:`~spaceform.losses.fused.pair_loss.PairLoss`.

    Raises ``InputError`` for bad batches, ``NoPairsError`` without positive or without negative pairs.
    O(B M d) time, memory of one block. With the soft maxima made hard it is batch-hard triplet mining.

    Equal to pytorch-metric-learning's ``GeneralizedLiftedStructureLoss`` where every anchor has positives (which counts
    an anchor without one as if its sum were 1).

    >>> batch = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> round(float(GeneralizedLiftedLoss()(batch, torch.tensor([0, 0, 1]))), 4)  # (0.4802 + 1.2620) / 2
    0.8711
    """

    joint = True

    def __init__(
        self,
        *,
        positive_margin: float | None = None,
        negative_margin: float | None = None,
        closeness: str | Geometry = "distance",
        normalize: bool = True,
        empty: str = "raise",
    ) -> None:
        super().__init__(closeness=closeness, normalize=normalize, empty=empty)
        self._near, self._far = check_margins(self.closeness, positive_margin, negative_margin)

    def _weigher(self, batch: Batch, sweep: Sweep) -> Weigh:
        def weigh(block: Block) -> tuple[torch.Tensor, torch.Tensor]:
            near, far = block.split()
            total_far, push = exponentiate(far)
            near = block.positives(near.neg_(), -torch.inf)
            total_near, pull = exponentiate(near)
            both = (block.n_positives > 0) & (block.n_negatives > 0)
            values = torch.where(both, push + pull + (self._near - self._far), 0).clamp_(min=0)
            active = values.sign()
            far.mul_(share(active, total_far))
            block.add_positive(near.mul_(share(-active, total_near)))
            return values[:, 0], both.sum()

        return weigh

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        near, far = self._near, self._far
        form = GenericPairLoss(
            rho_pos=lambda s: near - s,
            rho_neg=lambda s: s - far,
            sigma_pos=nn.Identity(),
            sigma_neg=nn.Identity(),
            outer=torch.relu,
            exponential=True,
            needs_both=True,
        )
        return form(closeness, targets, mask).sum() / with_both(targets, mask).clamp(min=1)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"positives at {self._near}, negatives at {self._far}"


@final
class LiftedStructureLoss(PairLoss):
    """Mean over ordered positive pairs of ``[J_ap]_+^2 / 2``: a pair against the negatives of both its rows.

    ``J_ap = log(sum_N(a) exp(negative_margin - D) + sum_N(p) exp(negative_margin - D)) + D_ap - positive_margin``.
    Parameters: ``positive_margin`` (0) and ``negative_margin`` (1) are distances; with ``closeness="dot"`` (or on the
    sphere) they are levels of it (1, 0.5). ``closeness`` (``"distance"``), ``normalize``, ``empty``: see
    :class:`~spaceform.losses.fused.pair_loss.PairLoss`.

    With a reference the negatives of a positive are the rows of the batch that have another class. Raises
    ``InputError`` for bad batches, ``NoPairsError`` without positive or without negative pairs. O(B M d) time (one more
    product than the others, for the soft maxima that every pair needs), memory of one block.

    Equal to pytorch-metric-learning's ``LiftedStructureLoss`` within a batch (with a reference that one compares row
    numbers of two different sets).

    >>> batch = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> round(float(LiftedStructureLoss()(batch, torch.tensor([0, 0, 1]))), 4)  # (0.7443 + 0.8944)^2 / 2
    1.3428
    """

    def __init__(
        self,
        *,
        positive_margin: float | None = None,
        negative_margin: float | None = None,
        closeness: str | Geometry = "distance",
        normalize: bool = True,
        empty: str = "raise",
    ) -> None:
        super().__init__(closeness=closeness, normalize=normalize, empty=empty)
        self._near, self._far = check_margins(self.closeness, positive_margin, negative_margin)

    def _weigher(self, batch: Batch, sweep: Sweep) -> Weigh:
        within = batch.items is not None
        push = self._pushes(batch, sweep)
        # within a batch a pair comes both ways round, so a row is as often the positive as the anchor
        back = None if within else self._column_slopes(push, sweep)

        def weigh(block: Block) -> tuple[torch.Tensor, torch.Tensor]:
            near, far = block.split()
            excess, share_of_anchor, _ = self._excess(block, near, push)
            slope = share_of_anchor.sum(1, keepdim=True) * (2 if within else 1)
            other = None if back is None else small_exp(far.sub(self._far).sub_(push[1])).mul_(back)
            total, _ = exponentiate(far)
            far.mul_(share(slope, total))
            if other is not None:
                far.add_(other)
            block.add_positive(-excess)
            return (excess * excess).sum(1) / 2, block.n_positives.sum()

        return weigh

    @torch.no_grad()
    def _pushes(self, batch: Batch, sweep: Sweep) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``log sum exp(c - far)`` over the negatives of every row ``(B, 1)`` and of every column ``(M,)``."""
        parts, columns = [], batch.columns.new_full((len(batch.columns),), -torch.inf)
        for block in sweep():
            _, far = block.split()
            if batch.items is None:
                columns = torch.logaddexp(columns, far.logsumexp(0))
            parts.append(exponentiate(far)[1])
        rows = torch.cat(parts) - self._far
        return rows, (columns - self._far if batch.items is None else rows[:, 0])

    @torch.no_grad()
    def _column_slopes(self, push: tuple[torch.Tensor, torch.Tensor], sweep: Sweep) -> torch.Tensor:
        """Return the derivatives ``(M,)`` of the sum by the soft maximum of every column."""
        slopes = torch.zeros_like(push[1])
        for block in sweep():
            to_positive = self._excess(block, block.near(), push)[2]
            slopes.index_add_(0, block.window.view(-1), to_positive.view(-1))
        return slopes

    def _excess(
        self, block: Block, near: torch.Tensor, push: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return ``[J]_+`` of the window ``(r, w)``, and its shares that go to the anchor and to the positive."""
        anchor, positive = push[0][block.rows], push[1][block.window]
        joint = torch.logaddexp(anchor, positive)
        excess = block.positives(joint + self._near - near, 0.0).clamp_(min=0)
        active = excess > 0  # elsewhere both soft maxima may be empty
        to_anchor = torch.where(active, excess * (anchor - joint).exp(), 0)
        return excess, to_anchor, excess - to_anchor

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"positives at {self._near}, negatives at {self._far}"
