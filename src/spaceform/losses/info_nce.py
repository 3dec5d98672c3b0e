"""InfoNCE: pick the positive out of the negatives by a softmax; NT-Xent, CLIP's loss and N-pair are cases of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import torch
from torch import nn
from torch.nn.functional import softplus

from spaceform.checks import check_choice, check_real
from spaceform.errors import InputError, NoPairsError
from spaceform.losses.combination import Composable
from spaceform.losses.fused.blocks import Block, Weigh
from spaceform.losses.fused.exponents import LEAST, exponentiate, share
from spaceform.losses.fused.fractional import share_mean
from spaceform.losses.fused.measures import fused_kind
from spaceform.losses.fused.pair_loss import PairLoss, Sweep
from spaceform.ops.batches import check_batch
from spaceform.ops.triplets import Batch, label_order

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry


def info_nce(
    closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, *, temperature: float = 0.07
) -> torch.Tensor:
    """Return ``(A,)`` of ``sum_(p in P) -log(exp(c_p / t) / (exp(c_p / t) + sum_(n in N) exp(c_n / t)))``.

    ``closeness (A, M)``; ``targets (A, M)`` bool marks positives; ``mask (A, M)`` bool what counts at all. Every
    positive competes with the negatives only, never with other positives. O(A M).
    """
    scores = closeness / temperature
    rivals = scores.masked_fill(targets | ~mask, -torch.inf).logsumexp(1, keepdim=True)
    return softplus(rivals - scores).masked_fill(~(targets & mask), 0).sum(1)


@final
class InfoNCELoss(PairLoss):
    """Mean over all positive pairs of ``-log softmax`` of the positive among itself and the anchor's negatives.

    It is NT-Xent (SimCLR, equation 1) when both views of item i have label i, CLIP's loss with ``reference`` and
    ``symmetric``, and the multiple-negatives ranking loss with a reference (its scale is ``1 / temperature``).

    Parameters: ``temperature`` (0.07) in units of the closeness; ``learn_temperature``: make it a parameter, kept as
    its logarithm (closeness ``"dot"`` only); ``symmetric``: with a reference, the mean of both directions.
    ``closeness`` (``"dot"``), ``normalize``, ``empty``: see :class:`~spaceform.losses.fused.pair_loss.PairLoss`.

    Raises ``InputError`` for bad batches, ``NoPairsError`` without positive or without negative pairs.
    O(B M d) time (twice that when symmetric), memory of one block.

    Equal to pytorch-metric-learning's ``NTXentLoss``, which lists all pairs and compares each with each.

    >>> images, texts = torch.eye(3), torch.eye(3).roll(1, 0) + 2 * torch.eye(3)
    >>> rows = torch.arange(3)
    >>> loss = InfoNCELoss(temperature=0.5, symmetric=True)
    >>> value = loss(images, rows, reference=texts, reference_labels=rows)
    >>> round(float(value), 4)  # log(1 + exp(-0.8944) + exp(-1.7889))
    0.4549
    """

    joint = True

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        learn_temperature: bool = False,
        symmetric: bool = False,
        closeness: str | Geometry = "dot",
        normalize: bool = True,
        empty: str = "raise",
    ) -> None:
        super().__init__(closeness=closeness, normalize=normalize, empty=empty)
        check_real(temperature, "temperature", low=0, open_ends=True)
        if learn_temperature and fused_kind(self.closeness) != "dot":
            raise InputError("learn_temperature", got=f"closeness {closeness!r}", expected="closeness 'dot'")
        start = torch.tensor(float(temperature), dtype=torch.float64).log()
        self.log_temperature: torch.Tensor
        if learn_temperature:
            self.log_temperature = nn.Parameter(start.float())
        else:
            self.register_buffer("log_temperature", start, persistent=False)
        self.symmetric = symmetric

    @property
    def temperature(self) -> float:
        """The temperature as it is now."""
        return float(self.log_temperature.detach().exp())

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (B, d)`` with ``labels (B,)``, or of both against ``reference``."""
        value = super().forward(embeddings, labels, reference=reference, reference_labels=reference_labels)
        if not self.symmetric or reference is None or reference_labels is None:
            return value
        return (value + super().forward(reference, reference_labels, reference=embeddings, reference_labels=labels)) / 2

    def _weigher(self, batch: Batch, sweep: Sweep) -> Weigh:
        scale = 1 / self.temperature

        def weigh(block: Block) -> tuple[torch.Tensor, torch.Tensor]:
            near, far = block.split()
            total, rivals = exponentiate(far, scale)
            gap = block.positives(near.mul_(-scale).add_(rivals), -torch.inf)
            values = softplus(gap).sum(1)
            missed = torch.threshold_(gap.sigmoid_(), LEAST[gap.dtype], 0.0)
            far.mul_(share(scale * missed.sum(1, keepdim=True), total))
            block.add_positive(missed.mul_(-scale))
            return values, block.n_positives.sum()

        return weigh

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss of pairs ``(A, M)`` with labels from 0 to 1; see :mod:`spaceform.losses.fused.fractional`."""
        shares, scores = targets.to(closeness.dtype), closeness / self.log_temperature.exp().to(closeness.dtype)
        rivals = (scores + (1 - shares).log()).masked_fill(~mask | (shares == 1), -torch.inf).logsumexp(1, keepdim=True)
        return share_mean(softplus(rivals - scores), shares, mask & (shares > 0))

    def _parameter_gradients(
        self, batch: Batch, row_gradient: torch.Tensor | None
    ) -> Sequence[tuple[torch.Tensor, torch.Tensor]]:
        if row_gradient is None or not self.log_temperature.requires_grad:
            return ()
        # the loss depends on c / t alone: dL / d log t = -sum c dL/dc; for dot products this sum is that of x . dL/dx,
        # with the part of the gradient that reaches a row as an anchor
        anchors = row_gradient if batch.items is None else row_gradient / 2
        return [(self.log_temperature, -(batch.rows * anchors).sum().to(self.log_temperature))]

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"temperature={self.temperature:.4g}, symmetric={self.symmetric}"


@final
class NPairLoss(Composable, nn.Module):
    """Multi-class N-pair loss: one pair per class, and the other classes' positives as negatives.

    ``(1/N) sum_i log(1 + sum_(j != i) exp(a_i . p_j - a_i . p_i)) + l2 mean |x|^2`` over the rows x used (Sohn, NIPS
    2016). The anchor of a class is its first row in the batch, the positive its second, or the first
    of that class in the reference; a class without a pair is left out.

    Parameters: ``l2`` (0), the weight of the mean squared norm of the rows, which bounds the dot products (0.0005 in
    the code of ECAML); ``scale`` (None): with a number, rows are brought to that length first (10 there), else stay as
    they are; ``empty``: ``"raise"`` a ``NoPairsError`` for fewer than two pairs, or return ``"zero"``.

    Raises ``InputError`` for bad batches. O(N^2 d) time for N classes, memory of one block. Equal to
    pytorch-metric-learning's ``NPairsLoss`` with ``scale=1`` (it brings rows to unit length by default).

    >>> batch = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 1.0]])
    >>> round(float(NPairLoss()(batch, torch.tensor([0, 0, 1, 1]))), 4)  # log(1 + exp(-2))
    0.1269
    """

    def __init__(self, *, l2: float = 0.0, scale: float | None = None, empty: str = "raise") -> None:
        super().__init__()
        self.l2 = check_real(l2, "l2", low=0)
        self.scale = None if scale is None else check_real(scale, "scale", low=0, open_ends=True)
        self.empty = check_choice(empty, "empty", ("raise", "zero"))
        self._softmax = InfoNCELoss(temperature=1.0, normalize=False)

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (B, d)`` with ``labels (B,)``, or against the reference."""
        rows, columns = check_batch(
            embeddings, labels, reference=reference, reference_labels=reference_labels, normalize=self.scale is not None
        )
        batch = label_order(
            rows.detach(),
            labels,
            reference=None if columns is None else columns.detach(),
            reference_labels=reference_labels,
        )
        ordered = labels[batch.row_order]
        leads = torch.ones_like(ordered, dtype=torch.bool)
        leads[1:] = ordered[1:] != ordered[:-1]
        leads &= batch.pairs > 0
        if int(leads.sum()) < 2:
            if self.empty == "raise":
                raise NoPairsError(
                    "labels",
                    got=f"{int(leads.sum())} classes with a pair",
                    expected="at least two classes with two rows each",
                    remedy="draw batches with MPerClassSampler, or pass empty='zero'",
                )
            return rows.sum() * 0
        anchors = rows[batch.row_order[leads]]
        second = batch.starts[leads] + (batch.items is not None)
        positives = (rows if columns is None else columns)[batch.column_order[second]]
        if self.scale is not None:
            anchors, positives = self.scale * anchors, self.scale * positives
        classes = torch.arange(len(anchors), device=anchors.device)
        value = self._softmax(anchors, classes, reference=positives, reference_labels=classes)
        if self.l2:
            value = value + self.l2 * ((anchors**2).sum(1).mean() + (positives**2).sum(1).mean()) / 2
        return value

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return f"l2={self.l2}, scale={self.scale}"
