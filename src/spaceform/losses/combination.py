"""Losses made of losses: weighted sums, and a loss over the batch and a memory of earlier batches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, final

import torch
from torch import nn

from spaceform.checks import check_real
from spaceform.errors import InputError, NoPairsError
from spaceform.ops.memory import MemoryBank


class Composable:
    """What lets losses be added and scaled: ``loss_a + 0.13 * loss_b`` is a :class:`WeightedSum`."""

    def __add__(self, other: Any) -> WeightedSum:
        """Return the sum of two losses."""
        if not isinstance(other, nn.Module):
            return NotImplemented
        parts = [*_parts(self), *_parts(other)]
        return WeightedSum(losses=[loss for loss, _ in parts], weights=[weight for _, weight in parts])

    def __radd__(self, other: Any) -> Any:
        """Let ``sum(losses)`` start from 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __mul__(self, weight: Any) -> WeightedSum:
        """Return the loss times a number."""
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            return NotImplemented
        parts = _parts(self)
        return WeightedSum(losses=[loss for loss, _ in parts], weights=[weight * own for _, own in parts])

    __rmul__ = __mul__


def _parts(loss: Any) -> list[tuple[nn.Module, float]]:
    return list(zip(loss.losses, loss.weights, strict=True)) if isinstance(loss, WeightedSum) else [(loss, 1.0)]


@final
class WeightedSum(Composable, nn.Module):
    """Weighted sum of losses over one batch: ``sum_k weights_k losses_k(embeddings, labels)``.

    Parameters: ``losses``, modules called with embeddings and labels (their parameters are parameters of the sum);
    ``weights``, one finite number each (None: all 1). What ``a + 0.13 * b`` makes. O(cost of the parts).

    Each part keeps its own settings, so one may normalise rows and the other not; a part that finds no pairs raises
    ``NoPairsError`` unless it was made with ``empty="zero"``. Raises ``InputError`` for no losses or other weights.

    >>> from spaceform.losses.circle import CircleLoss
    >>> from spaceform.losses.supcon import SupConLoss
    >>> loss = SupConLoss() + 0.13 * CircleLoss()
    >>> loss.weights
    (1.0, 0.13)
    """

    def __init__(self, *, losses: Sequence[nn.Module], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if not losses:
            raise InputError("losses", got="none", expected="at least one loss")
        weights = [1.0] * len(losses) if weights is None else weights
        if len(weights) != len(losses):
            raise InputError("weights", got=f"{len(weights)} of them", expected=f"one for each of {len(losses)} losses")
        self.losses = nn.ModuleList(losses)
        self.weights = tuple(check_real(weight, "weights") for weight in weights)

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the weighted sum for ``embeddings (B, d)`` and ``labels (B,)``, with the reference for every part."""
        return self.with_figures(embeddings, labels, reference=reference, reference_labels=reference_labels)[0]

    def with_figures(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the sum and the unweighted value of every part, named by its class (and place)."""
        second: dict[str, Any] = {}
        if reference is not None or reference_labels is not None:
            second = {"reference": reference, "reference_labels": reference_labels}
        values = [loss(embeddings, labels, **second) for loss in self.losses]
        total = sum(
            (weight * value for weight, value in zip(self.weights[1:], values[1:], strict=True)),
            start=self.weights[0] * values[0],
        )
        return total, {self._name(place): float(value.detach()) for place, value in enumerate(values)}

    def _name(self, place: int) -> str:
        names = [type(loss).__name__ for loss in self.losses]
        return names[place] if names.count(names[place]) == 1 else f"{names[place]}-{place}"

    def extra_repr(self) -> str:
        """Return the weights, for ``repr``."""
        return f"weights={self.weights}"


@final
class CrossBatchMemory(Composable, nn.Module):
    """A loss over the batch, plus the same loss between the batch and a memory of earlier batches (XBM).

    ``loss(batch) + weight * loss(batch, reference=memory)``, after Wang and others, Cross-Batch Memory for Embedding
    Learning, CVPR 2020, algorithm 1 and their code, which keeps the term within the batch. In training
    mode the rows of the batch are then put into the memory. In a distributed run call it with the gathered rows of all
    ranks, as every loss over pairs; so the memories of all ranks stay equal.

    Parameters: ``loss``, any loss that takes a reference; ``bank``, the memory; ``weight >= 0`` of the memory term (1);
    ``batch_term``: False leaves the term within the batch out.

    While the memory holds no pair for this batch its term is 0; without a pair in the batch the ``NoPairsError`` of the
    loss passes through. Raises ``InputError`` when a reference is given: the memory is the reference. O(B (B + M) d).

    Trap: the memory is stale by as many steps as it holds batches; start it when the network moves slowly (the paper
    waits 1,000 steps), by calling ``loss.loss`` alone until then.

    >>> from spaceform.losses.contrastive import ContrastiveLoss
    >>> memory = CrossBatchMemory(loss=ContrastiveLoss(), bank=MemoryBank(rows=4, width=2))
    >>> batch = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> round(float(memory(batch, torch.tensor([0, 0, 1]))), 4), len(memory.bank)
    (0.738, 3)
    """

    def __init__(self, *, loss: nn.Module, bank: MemoryBank, weight: float = 1.0, batch_term: bool = True) -> None:
        super().__init__()
        self.loss, self.bank = loss, bank
        self.weight = check_real(weight, "weight", low=0)
        self.batch_term = batch_term

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss of ``embeddings (B, d)`` with ``labels (B,)`` against the batch and the memory."""
        if reference is not None or reference_labels is not None:
            raise InputError("reference", got="a second set", expected="None", remedy="the memory is the reference")
        value = self.loss(embeddings, labels) if self.batch_term else embeddings.sum() * 0
        stored, stored_labels = self.bank.contents()
        if len(stored):
            # the memory may hold no row of these classes, or only them
            with suppress(NoPairsError):
                value = value + self.weight * self.loss(
                    embeddings, labels, reference=stored.to(embeddings.dtype), reference_labels=stored_labels
                )
        if self.training:
            self.bank.enqueue(embeddings, labels, gather=False)
        return value
