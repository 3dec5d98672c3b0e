"""Multi-similarity loss: hard pairs of an anchor weigh more, by how they compare with its other pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch.nn.functional import softplus

from spaceform.checks import check_real
from spaceform.losses.fused.blocks import Block, Weigh
from spaceform.losses.fused.exponents import exponentiate, share
from spaceform.losses.fused.pair_loss import PairLoss, Sweep
from spaceform.losses.generic_pair import multi_similarity_form
from spaceform.ops.triplets import Batch

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry


def multi_similarity(
    closeness: torch.Tensor,
    targets: torch.Tensor,
    mask: torch.Tensor,
    *,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
) -> torch.Tensor:
    """Return ``(A,)`` of the two soft maxima of :class:`MultiSimilarityLoss`.

    ``log(1 + sum_P exp(-alpha (c - base))) / alpha + log(1 + sum_N exp(beta (c - base))) / beta``. ``closeness (A,
    M)``; ``targets (A, M)`` bool marks positives; ``mask (A, M)`` bool what counts at all. Wang and others, CVPR 2019
    (their lambda is ``base``). O(A M).
    """
    near = (-alpha * (closeness - base)).masked_fill(~(targets & mask), -torch.inf)
    far = (beta * (closeness - base)).masked_fill(targets | ~mask, -torch.inf)
    nothing = closeness.new_zeros(len(closeness), 1)
    near, far = torch.cat([near, nothing], 1), torch.cat([far, nothing], 1)
    return near.logsumexp(1) / alpha + far.logsumexp(1) / beta


def weigh_exponentials(
    block: Block,
    *,
    slopes: tuple[float, float],
    bases: tuple[float, float],
    weights: tuple[float, float],
    epsilon: float | None = None,
) -> torch.Tensor:
    """Overwrite a block by the derivatives of its values ``(r,)``; positives come first in each pair of settings.

    The values are ``w+ log(1 + sum_P exp(-a (c - b+))) + w- log(1 + sum_N exp(a' (c - b-)))``. With ``epsilon`` only
    the positives that are not nearer by it than the nearest negative count, and the negatives that are not farther by
    it than the farthest positive.
    """
    near, far = block.split()
    shift = torch.zeros_like(far[:, :1])
    near = block.positives(near, torch.inf)
    if epsilon is not None:
        nearest = far.amax(1, keepdim=True)
        farthest = near.amin(1, keepdim=True)
        near.masked_fill_(near - epsilon >= nearest, torch.inf)
        shift = torch.where(block.n_positives > 0, farthest - epsilon, 0)
        far.sub_(shift)
        # without a positive none is kept: there is nothing to compare with
        torch.threshold_(far, 0, -torch.inf)
        far.masked_fill_(block.n_positives == 0, -torch.inf)
    total, log_far = exponentiate(far, slopes[1])
    log_far = log_far + slopes[1] * (shift - bases[1])
    far.mul_(share(weights[1] * slopes[1] * torch.sigmoid(log_far), total))
    total, log_near = exponentiate(near.neg_(), slopes[0])
    log_near = log_near + slopes[0] * bases[0]
    block.add_positive(near.mul_(share(-weights[0] * slopes[0] * torch.sigmoid(log_near), total)))
    return (weights[0] * softplus(log_near) + weights[1] * softplus(log_far))[:, 0]


@final
class MultiSimilarityLoss(PairLoss):
    """Mean over all anchors of :func:`multi_similarity`.

    Parameters: ``alpha`` (2) and ``beta`` (50), the slopes for positives and negatives, and ``base`` (0.5), the
    closeness around which they turn (the settings of the paper; Metrix uses 17.97, 75.66 and 0.77). ``epsilon``: mine
    pairs first (0.1 in the paper): keep negatives that are nearer than the farthest positive less
    ``epsilon``, and positives that are farther than the nearest negative plus it; None keeps all pairs.
    ``closeness`` (``"dot"``), ``normalize``, ``empty``: see :class:`~spaceform.losses.fused.pair_loss.PairLoss`.

    An anchor without positives still pushes its negatives away, except with ``epsilon``. Raises ``InputError`` for bad
    batches, ``NoPairsError`` without positive or without negative pairs. O(B M d) time, memory of one block.

    Equal to pytorch-metric-learning's ``MultiSimilarityLoss``, with ``epsilon`` to its loss behind its
    ``MultiSimilarityMiner``. ``base`` lies among cosines: for other kinds of closeness choose it below 0.

    >>> batch = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> round(float(MultiSimilarityLoss()(batch, torch.tensor([0, 0, 1]))), 4)  # (0.2991 + 0.5991 + 0.3) / 3
    0.3994
    """

    joint = False

    def __init__(
        self,
        *,
        alpha: float = 2.0,
        beta: float = 50.0,
        base: float = 0.5,
        epsilon: float | None = None,
        closeness: str | Geometry = "dot",
        normalize: bool = True,
        empty: str = "raise",
    ) -> None:
        super().__init__(closeness=closeness, normalize=normalize, empty=empty)
        self.alpha = check_real(alpha, "alpha", low=0, open_ends=True)
        self.beta = check_real(beta, "beta", low=0, open_ends=True)
        self.base = check_real(base, "base")
        self.epsilon = None if epsilon is None else check_real(epsilon, "epsilon")

    def _weigher(self, batch: Batch, sweep: Sweep) -> Weigh:
        def weigh(block: Block) -> tuple[torch.Tensor, int]:
            values = weigh_exponentials(
                block,
                slopes=(self.alpha, self.beta),
                bases=(self.base, self.base),
                weights=(1 / self.alpha, 1 / self.beta),
                epsilon=self.epsilon,
            )
            return values, len(values)

        return weigh

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        form = multi_similarity_form(self.alpha, self.beta, self.base)
        if self.epsilon is None:
            return form(closeness, targets, mask).mean()
        near, far = mask & (targets > 0), mask & (targets < 1)
        nearest = closeness.masked_fill(~far, -torch.inf).amax(1, keepdim=True)
        farthest = closeness.masked_fill(~near, torch.inf).amin(1, keepdim=True)
        positives, negatives = near & (closeness - self.epsilon < nearest), far & (closeness + self.epsilon > farthest)
        return form.parts(closeness, targets, positives=positives, negatives=negatives).mean()

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"alpha={self.alpha}, beta={self.beta}, base={self.base}, epsilon={self.epsilon}"
