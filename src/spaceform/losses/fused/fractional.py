"""Losses over pairs whose labels may be fractions: what they compare, as plain tensors that autograd differentiates.

The fused losses know pairs as positive or negative only. A loss that also says what a pair in between costs has a
method ``fractional(closeness (A, M), targets (A, M) from 0 to 1, mask (A, M)) -> scalar``: a pair with label y is a
positive by the part y and a negative by the rest. With labels 0 and 1 it is the loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch

from spaceform.geometry.arrays import safe_sqrt
from spaceform.losses.fused.measures import fused_kind
from spaceform.ops.pairs import squared_distances

if TYPE_CHECKING:
    from spaceform.geometry.protocol import Geometry


@dataclass(frozen=True)
class PairSets:
    """What a loss compares with what, with its graph.

    ``anchors (A, d)`` and ``items (M, d)`` with their labels, compared by ``closeness`` (a kind or a geometry) after
    they were brought to unit length if ``unit``. ``own (A,)`` is the place of each anchor among the items, None where
    anchors are others; ``items_are_rows``: items are the rows of the batch, and not a reference or class vectors.
    """

    anchors: torch.Tensor
    anchor_labels: torch.Tensor
    items: torch.Tensor
    item_labels: torch.Tensor
    closeness: str | Geometry
    unit: bool
    own: torch.Tensor | None
    items_are_rows: bool

    @classmethod
    def of_rows(
        cls,
        rows: tuple[torch.Tensor, torch.Tensor],
        columns: tuple[torch.Tensor | None, torch.Tensor | None],
        *,
        closeness: str | Geometry,
        unit: bool,
    ) -> PairSets:
        """Return rows with labels as anchors, and as items other columns with labels, or (None) the rows themselves."""
        anchors, labels = rows
        alone = columns[0] is None or columns[1] is None
        return cls(
            anchors=anchors,
            anchor_labels=labels,
            items=anchors if columns[0] is None else columns[0],
            item_labels=labels if columns[1] is None else columns[1],
            closeness=closeness,
            unit=unit,
            own=torch.arange(len(labels), device=labels.device) if alone else None,
            items_are_rows=alone,
        )

    def matrix(self) -> torch.Tensor:
        """Return the closeness ``(A, M)`` of all anchors and items. O(A M d)."""
        return plain_closeness(self.closeness, self.anchors, self.items)

    def masks(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return which pairs ``(A, M)`` are positives, and which count at all: not those of a row with itself."""
        same = self.anchor_labels[:, None] == self.item_labels[None, :]
        others = torch.ones_like(same)
        return same, others if self.own is None else others.scatter_(1, self.own[:, None], False)

    def some(self, most: int, generator: torch.Generator | None = None) -> PairSets:
        """Return the same with at most ``most`` anchors, drawn at random."""
        if len(self.anchors) <= most:
            return self
        kept = torch.randperm(len(self.anchors), generator=generator)[:most].to(self.anchor_labels.device)
        own = None if self.own is None else self.own[kept]
        return replace(self, anchors=self.anchors[kept], anchor_labels=self.anchor_labels[kept], own=own)


class Fractional(Protocol):
    """A loss that says what a pair with a fractional label costs.

    ``joint``: the sums over positives and over negatives multiply (a softmax, a ratio), so that one label for all pairs
    of an anchor is a mere constant: only pairs with different labels tell the loss what to pull and what to push.
    """

    joint: bool

    def pair_sets(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        reference: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
    ) -> PairSets:
        """Return what the loss compares for a batch."""
        ...

    def fractional(self, closeness: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the scalar loss of pairs ``(A, M)`` with labels from 0 to 1."""
        ...


def plain_closeness(closeness: str | Geometry, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return the closeness ``(A, M)`` of ``rows (A, d)`` and ``columns (M, d)`` with its graph. O(A M d)."""
    kind = fused_kind(closeness)
    if kind is None:
        return closeness.pairwise_closeness(rows, columns)  # type: ignore[union-attr]  # strings have a kind
    if kind == "dot":
        return rows @ columns.T
    squares = squared_distances(rows, columns)
    return -squares if kind == "squared" else -safe_sqrt(squares)


def share_mean(values: torch.Tensor, shares: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return the sum of ``shares * values`` over the ``counted`` pairs, divided by their number.

    Not by the sum of the shares: that would give back the plain mean whenever all shares are equal, and the label of a
    pair would cost nothing.
    """
    return (values * shares).masked_fill(~counted, 0).sum() / counted.sum().clamp(min=1)


def with_both(targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return how many anchors have a pair that is a positive and one that is a negative, by a part at least."""
    return (((targets > 0) & mask).any(1) & ((targets < 1) & mask).any(1)).sum()
