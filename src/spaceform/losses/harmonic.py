"""Harmonic triplets (FaceNet, appendix 7): a new model whose vectors can be compared with those an old one stored."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import nn

from spaceform.checks import check_choice
from spaceform.errors import InputError
from spaceform.losses.hinge import hinge_sum
from spaceform.losses.triplet import REDUCTIONS, check_margin, finish
from spaceform.ops.batches import check_batch
from spaceform.ops.triplets import Mining, has_triplets, label_order


@final
class HarmonicTripletLoss(nn.Module):
    """Triplet loss over the pool of a batch seen by two models: anchor, positive and negative may come from either.

    The pool of a batch of B rows holds the 2 B vectors ``[old(x), new(x)]`` with their labels repeated; triplets are
    mined in all of it and the loss is that of :class:`spaceform.losses.triplet.TripletLoss`. The old vectors are
    constants, so triplets of old vectors alone teach nothing and are skipped.

    Parameters: ``margin``, ``mining`` (any but ``"all"``), ``squared``, ``reduction`` as there; vectors are brought to
    unit length. ``self_pairs``: whether old and new vector of one row are a positive pair (the paper does not say; they
    show the same thing). ``empty``: ``"raise"`` a ``NoPairsError`` for a batch without pairs, or return ``"zero"``.
    O(B^2 (d + log B)) time, one block of distances in memory.
    """

    def __init__(
        self,
        *,
        margin: float = 0.2,
        mining: Mining | None = None,
        squared: bool = True,
        reduction: str = "mean",
        self_pairs: bool = True,
        empty: str = "raise",
    ) -> None:
        super().__init__()
        self.margin = check_margin(margin, squared=squared, normalize=True)
        self.mining = Mining() if mining is None else mining
        if self.mining.strategy == "all":
            raise InputError("mining", got="'all'", expected="a strategy that lists its triplets", remedy="'semi_hard'")
        self.squared = squared
        self.reduction = check_choice(reduction, "reduction", REDUCTIONS)
        self.self_pairs = self_pairs
        self.empty = check_choice(empty, "empty", ("raise", "zero"))

    def forward(self, new_embeddings: torch.Tensor, old_embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the scalar loss of ``new_embeddings`` and ``old_embeddings (B, d)`` of the same rows, ``labels (B,)``.

        Raises ``InputError`` for two shapes, NaN, zero vectors, labels of another length; ``NoPairsError``.
        """
        return self.with_figures(new_embeddings, old_embeddings, labels)[0]

    def with_figures(
        self,
        new_embeddings: torch.Tensor,
        old_embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss and the figures of :class:`spaceform.losses.triplet.TripletLoss`, over the pool."""
        if old_embeddings.shape != new_embeddings.shape:
            raise InputError(
                "old_embeddings", got=f"shape {tuple(old_embeddings.shape)}", expected=f"{tuple(new_embeddings.shape)}"
            )
        new, _ = check_batch(new_embeddings, labels, normalize=True)
        old, _ = check_batch(old_embeddings.detach(), labels, normalize=True)
        pool, rows = torch.cat([old.to(new.dtype), new]), len(labels)
        items = None if self.self_pairs else torch.arange(rows, device=labels.device).repeat(2)
        batch = label_order(pool.detach(), labels.repeat(2), items=items)
        if not has_triplets(batch, empty=self.empty):
            return pool.sum() * 0, {"frac_active": 0.0, "mean_d_ap": 0.0, "mean_d_an": 0.0}
        wanted = pool.requires_grad and torch.is_grad_enabled()
        total = hinge_sum(
            batch,
            self.mining,
            margin=self.margin,
            squared=self.squared,
            learns=batch.row_order >= rows,
            gradients=(wanted, wanted),
            generator=generator,
        )
        return finish(total, batch, pool, columns=None, reduction=self.reduction)

    def settings(self) -> dict[str, Any]:
        """Return the hyper-parameters as plain values."""
        mining = {"strategy": self.mining.strategy, "rule": self.mining.rule, "choice": self.mining.choice}
        kept = ("margin", "squared", "reduction", "self_pairs", "empty")
        return {**mining, **{name: getattr(self, name) for name in kept}}
