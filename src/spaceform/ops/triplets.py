"""Triplets of a batch: what is asked for, what comes back, and the batch in label order, in blocks of distances.

In label order everything with an anchor's label is one stretch of columns, so no mask of labels is ever built; and
nothing larger than a block of anchors by columns is ever held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch

from spaceform.checks import check_choice
from spaceform.errors import InputError, NoPairsError

STRATEGIES = ("semi_hard", "hard", "hard_negative", "random", "all")
RULES = ("facenet", "vgg")
CHOICES = ("random", "hardest")

CPU_BLOCK, DEVICE_BLOCK = 2**20, 2**26
"""Entries of one block of distances: on a CPU distances and keys (12 MB) stay near the cache, elsewhere in memory."""


@dataclass(frozen=True, kw_only=True)
class Mining:
    """Which triplets a batch gives.

    Parameters: ``strategy`` ``"semi_hard"``: every ordered pair (anchor, positive) with a negative inside the margin;
    ``"hard"``: every anchor with its farthest positive and nearest negative (batch hard);
    ``"hard_negative"``: every ordered pair with the anchor's nearest negative;
    ``"random"``: every ordered pair with a negative drawn uniformly; ``"all"``: every triplet.
    ``rule`` (semi-hard only) ``"facenet"``: ``D_ap < D_an < D_ap + margin`` (FaceNet, section 3.2, equation 4 and the
    margin); ``"vgg"``: ``D_an < D_ap + margin`` alone, the rule of VGG-Face. ``choice`` among the
    semi-hard negatives: ``"random"`` or ``"hardest"`` (the nearest); the paper leaves it open.
    """

    strategy: str = "semi_hard"
    rule: str = "facenet"
    choice: str = "random"

    @classmethod
    def parse(cls, text: str) -> Mining:
        """Return what a text such as ``"semi_hard"``, ``"semi_hard:hardest"`` or ``"semi_hard:vgg:random"`` says.

        The strategy comes first, then rule and choice in any order, each only if it is not the default.

        >>> Mining.parse("semi_hard:hardest")
        Mining(strategy='semi_hard', rule='facenet', choice='hardest')
        """
        strategy, *details = text.split(":")
        named = {"rule": [word for word in details if word in RULES]}
        named["choice"] = [word for word in details if word in CHOICES]
        check_choice(strategy, "mining", STRATEGIES)
        if len(named["rule"]) + len(named["choice"]) < len(details) or max(map(len, named.values())) > 1:
            expected = "a strategy, then at most one rule (facenet, vgg) and one choice (random, hardest)"
            raise InputError("mining", got=repr(text), expected=expected)
        return cls(strategy=strategy, **{name: words[0] for name, words in named.items() if words})

    @property
    def draws(self) -> bool:
        """Whether random numbers are needed."""
        return self.strategy == "random" or (self.strategy == "semi_hard" and self.choice == "random")

    def __post_init__(self) -> None:
        check_choice(self.strategy, "strategy", STRATEGIES)
        check_choice(self.rule, "rule", RULES)
        check_choice(self.choice, "choice", CHOICES)


class Triplets(NamedTuple):
    """Rows of anchors, positives and negatives: int64 tensors ``(T,)``; the last two count in the reference."""

    anchors: torch.Tensor
    positives: torch.Tensor
    negatives: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """Embeddings and reference in label order: ``counts[i]`` columns from ``starts[i]`` on have the label of row i.

    ``items`` (within one batch only) says which item a row shows: two rows of one item are no positive pair.
    ``pairs[i]`` counts the positives of row i, so a class of K rows has K (K - 1) ordered pairs, both ways round;
    ``n_negative_pairs`` counts the pairs of an anchor and a row of another class.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    row_order: torch.Tensor
    column_order: torch.Tensor
    starts: torch.Tensor
    counts: torch.Tensor
    items: torch.Tensor | None
    pairs: torch.Tensor
    n_pairs: int
    n_negative_pairs: int

    def block_pairs(self, first: int, rows: int) -> int:
        """Return the number of ordered positive pairs of the anchors ``first .. first + rows``."""
        return int(self.pairs[first : first + rows].sum())


def label_order(
    rows: torch.Tensor,
    labels: torch.Tensor,
    *,
    reference: torch.Tensor | None = None,
    reference_labels: torch.Tensor | None = None,
    items: torch.Tensor | None = None,
) -> Batch:
    """Bring a batch (and its reference, which is the batch itself when None) into label order. O((B + M) d).

    ``items (B,)`` int64: rows with one number show the same thing and are no pair; by default only a row and itself.
    Rows of one item must have one label. Ignored with a reference, all of whose rows are others.
    """
    row_order = torch.argsort(labels, stable=True)
    sorted_rows, sorted_labels = rows[row_order], labels[row_order]
    if reference is None or reference_labels is None:
        columns, column_labels, column_order = sorted_rows, sorted_labels, row_order
    else:
        column_order = torch.argsort(reference_labels, stable=True)
        columns, column_labels = reference[column_order], reference_labels[column_order]
    starts = torch.searchsorted(column_labels, sorted_labels)
    counts = torch.searchsorted(column_labels, sorted_labels, right=True) - starts
    if reference is not None:
        sorted_items, pairs = None, counts
    elif items is None:
        sorted_items, pairs = row_order, counts - 1
    else:
        _, which, shown = torch.unique(items, return_inverse=True, return_counts=True)
        sorted_items, pairs = items[row_order], counts - shown[which[row_order]]
    return Batch(
        rows=sorted_rows,
        columns=columns,
        row_order=row_order,
        column_order=column_order,
        starts=starts,
        counts=counts,
        items=sorted_items,
        pairs=pairs,
        n_pairs=int(pairs.sum()),
        n_negative_pairs=len(rows) * len(columns) - int(counts.sum()),
    )


def has_triplets(batch: Batch, *, empty: str) -> bool:
    """Whether a batch has positive and negative pairs; if not, raise ``NoPairsError`` unless ``empty="zero"``."""
    check_choice(empty, "empty", ("raise", "zero"))
    if batch.n_pairs and batch.n_negative_pairs:
        return True
    if empty == "raise":
        raise NoPairsError(
            "labels",
            got="rows of one class only" if batch.n_pairs else "no two rows of one class",
            expected="at least one class with two rows, and two classes",
            remedy="draw batches with MPerClassSampler, or pass empty='zero'",
        )
    return False


def distance_blocks(batch: Batch, *, squared: bool) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield ``(first, distances)``: distances ``(rows, M)`` of the anchors ``first .. first + rows`` to all columns.

    ``squared`` chooses squared or plain Euclidean distance. O(B M d) time; a block has 2^20 distances on a CPU and 2^26
    elsewhere. Every distance is +0.0 or more, so that its bit pattern, read as an integer, keeps the order.
    """
    columns = len(batch.columns)
    step = max(1, (CPU_BLOCK if batch.rows.device.type == "cpu" else DEVICE_BLOCK) // columns)
    row_squares = (batch.rows * batch.rows).sum(1)
    column_squares = row_squares if batch.items is not None else (batch.columns * batch.columns).sum(1)
    for first in range(0, len(batch.rows), step):
        rows = batch.rows[first : first + step]
        # autocast would round the product to half precision, which loses the margin
        with torch.autocast(rows.device.type, enabled=False):
            block = torch.addmm(column_squares, rows, batch.columns.T, alpha=-2)
        # a sum of floats is -0.0 only if all its terms are, and clamp replaces negatives by +0.0
        block.add_(row_squares[first : first + step, None]).clamp_(min=0)
        yield first, block if squared else block.sqrt_()
