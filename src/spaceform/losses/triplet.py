"""The triplet loss of FaceNet (section 3.1, equation 3) with mining inside, in O(B^2 log B)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from spaceform.checks import check_choice, check_real
from spaceform.losses.combination import Composable
from spaceform.losses.fused.blocks import attach, in_order
from spaceform.losses.hinge import HingeSum, hinge_sum
from spaceform.ops.batches import check_batch
from spaceform.ops.triplets import Batch, Mining, Triplets, has_triplets, label_order

REDUCTIONS = ("mean", "mean_active", "sum")


def triplet_loss(
    positive_distances: torch.Tensor,
    negative_distances: torch.Tensor,
    *,
    margin: float = 0.2,
    reduction: str = "mean",
) -> torch.Tensor:
    """Return ``[D_ap - D_an + margin]_+`` of ``T`` triplets, reduced to a scalar.

    Parameters: distances ``(T,)`` from anchors to positives and to negatives, squared in the paper; ``margin`` 0.2
    (section 3.1); ``reduction`` ``"mean"`` over all triplets, ``"mean_active"`` over those above 0, or ``"sum"``.
    No triplet gives 0, with a graph. O(T).
    """
    check_choice(reduction, "reduction", REDUCTIONS)
    hinge = (positive_distances - negative_distances + margin).clamp(min=0)
    active = int((hinge > 0).sum()) if reduction == "mean_active" else len(hinge)
    return hinge.sum() / _divisor(reduction, len(hinge), active)


class TripletLoss(Composable, nn.Module):
    """Triplet loss on unit vectors: ``mean_t [D(a_t, p_t) - D(a_t, n_t) + margin]_+`` over the triplets of ``mining``.

    Parameters: ``margin`` (0.2, section 3.1), in units of the distance: 0 to 4 for squared distances of unit vectors,
    0 to 2 for plain ones. ``mining``: which triplets, see :class:`spaceform.ops.triplets.Mining` (default: every
    ordered anchor-positive pair with a random semi-hard negative). ``squared``: squared Euclidean distance as in the
    paper, or plain. ``reduction``: ``"mean"`` over the triplets, ``"mean_active"`` over those above 0, or ``"sum"``.
    ``normalize``: bring the embeddings to unit length first (without it the network can meet the margin by scaling).
    ``empty``: ``"raise"`` a ``NoPairsError`` for a batch without positive or negative pairs, or return ``"zero"``.

    A batch with pairs of which none is semi-hard gives 0 with a graph. Value and gradient are computed together in
    closed form: O(B M (d + log M)) time for M reference rows (M = B without a reference), never a B x B x B array, and
    beyond B x d numbers only a block of distances in memory; so there is no second derivative.

    Traps: ``"hard"`` mining from the first step collapses the space, which ``mean_d_ap`` and ``mean_d_an`` near 0 show;
    distances closer than 1e-7 (float32 rounding) are not told apart; distances are never computed in half precision.

    >>> angles = torch.tensor([0.0, 40.0, 45.0]).deg2rad()
    >>> embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)
    >>> triplets = tuple(torch.tensor([row]) for row in (0, 1, 2))
    >>> round(float(TripletLoss()(embeddings, torch.tensor([0, 0, 1]), triplets=triplets)), 4)
    0.0821
    """

    def __init__(
        self,
        *,
        margin: float = 0.2,
        mining: Mining | None = None,
        squared: bool = True,
        reduction: str = "mean",
        normalize: bool = True,
        empty: str = "raise",
    ) -> None:
        super().__init__()
        self.margin = check_margin(margin, squared=squared, normalize=normalize)
        self.mining = Mining() if mining is None else mining
        self.squared = squared
        self.reduction = check_choice(reduction, "reduction", REDUCTIONS)
        self.normalize = normalize
        self.empty = check_choice(empty, "empty", ("raise", "zero"))

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
        triplets: Triplets | tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Return the scalar loss of ``embeddings (B, d)`` with integer ``labels (B,)``.

        With ``reference (M, d)`` and ``reference_labels (M,)`` positives and negatives are taken from there (none of
        its rows counts as the anchor itself). ``triplets`` (three int64 tensors, the last two count in the reference)
        replaces mining. Raises ``InputError`` for NaN, zero vectors or labels of another length; ``NoPairsError``.
        """
        loss, _ = self.with_figures(
            embeddings, labels, reference=reference, reference_labels=reference_labels, triplets=triplets
        )
        return loss

    def with_figures(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
        triplets: Triplets | tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss and what shows a collapse, for a training loop to record.

        ``frac_active``: triplets with a loss above 0, per candidate (ordered positive pair; anchor for ``"hard"``;
        triplet for ``"all"``). ``mean_d_ap``, ``mean_d_an``: mean distance over all positive and all negative pairs of
        the batch (over the given ``triplets``, if any). Random choices come from ``generator``.
        """
        rows, columns = check_batch(
            embeddings, labels, reference=reference, reference_labels=reference_labels, normalize=self.normalize
        )
        if triplets is not None:
            return self._given(rows, rows if columns is None else columns, triplets)
        batch = label_order(
            rows.detach(),
            labels,
            reference=None if columns is None else columns.detach(),
            reference_labels=reference_labels,
        )
        if not has_triplets(batch, empty=self.empty):
            return _attached_zero(rows, columns), {"frac_active": 0.0, "mean_d_ap": 0.0, "mean_d_an": 0.0}
        wants_rows = rows.requires_grad and torch.is_grad_enabled()
        wants_columns = columns is not None and columns.requires_grad and torch.is_grad_enabled()
        total = hinge_sum(
            batch,
            self.mining,
            margin=self.margin,
            squared=self.squared,
            gradients=(wants_rows, wants_rows if columns is None else wants_columns),
            generator=generator,
        )
        return finish(total, batch, rows, columns=columns, reduction=self.reduction)

    def _given(
        self, rows: torch.Tensor, columns: torch.Tensor, triplets: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        anchors, positives, negatives = triplets
        near = self._distance(rows[anchors], columns[positives])
        far = self._distance(rows[anchors], columns[negatives])
        loss = triplet_loss(near, far, margin=self.margin, reduction=self.reduction)
        active = (near - far + self.margin > 0).detach()
        n = max(1, len(anchors))
        means = {"mean_d_ap": float(near.detach().sum()) / n, "mean_d_an": float(far.detach().sum()) / n}
        return loss, {"frac_active": float(active.sum()) / n, **means}

    def _distance(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        squares = ((a - b) ** 2).sum(1)
        if self.squared:
            return squares
        # the square root has no slope at 0: such pairs get none instead of an infinite one
        return torch.where(squares > 0, squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt(), 0.0)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return ", ".join(f"{name}={value!r}" for name, value in self.settings().items())

    def settings(self) -> dict[str, Any]:
        """Return the hyper-parameters as plain values."""
        mining = {"strategy": self.mining.strategy, "rule": self.mining.rule, "choice": self.mining.choice}
        kept = ("margin", "squared", "reduction", "normalize", "empty")
        return {**mining, **{name: getattr(self, name) for name in kept}}


def check_margin(margin: float, *, squared: bool, normalize: bool) -> float:
    """Return a margin that distances of unit vectors can meet: in (0, 4) for squared, (0, 2) for plain distances."""
    high = None if not normalize else 4.0 if squared else 2.0
    return check_real(margin, "margin", low=0, high=high, open_ends=True)


def finish(
    total: HingeSum, batch: Batch, rows: torch.Tensor, *, columns: torch.Tensor | None, reduction: str
) -> tuple[torch.Tensor, dict[str, float]]:
    """Turn the sum over a batch into the reduced loss with its gradient attached, and the figures."""
    scale = 1 / _divisor(reduction, total.triplets, total.active)
    row_gradient = in_order(total.row_gradient, batch.row_order, scale)
    column_gradient = in_order(total.column_gradient, batch.column_order, scale)
    if columns is None and row_gradient is not None and column_gradient is not None:
        row_gradient, column_gradient = row_gradient + column_gradient, None
    value = torch.tensor(total.value * scale, dtype=rows.dtype, device=rows.device)
    loss = attach(value, (rows, row_gradient), (columns, column_gradient))
    figures = {
        "frac_active": total.active / max(1, total.candidates),
        "mean_d_ap": total.positive,
        "mean_d_an": total.negative,
    }
    return loss, figures


def _divisor(reduction: str, triplets: int, active: int) -> int:
    return 1 if reduction == "sum" else max(1, active if reduction == "mean_active" else triplets)


def _attached_zero(rows: torch.Tensor, columns: torch.Tensor | None) -> torch.Tensor:
    zero = rows.sum() * 0
    return zero if columns is None else zero + columns.sum() * 0
