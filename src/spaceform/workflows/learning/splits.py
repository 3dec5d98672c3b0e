"""Which labelled rows an encoder learns from, which tell when to stop, and which measure it in the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spaceform.rng import as_generator, derive_seed
from spaceform.types import IntArray

MIN_CLASSES = 10
"""With fewer classes rows are held back instead of classes: the rest would be too few to learn from."""

MIN_ROWS = 6
"""A class of fewer rows keeps them all for training when rows are held back."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows to train on, for validation and for the test, each ascending; ``by`` ``"classes"``, ``"rows"`` or ``""``.

    By classes no class is in two parts; by rows every class that is large enough is in all. Classes of one row, which
    give no pair, are in none when classes are held back.
    """

    train: IntArray
    validation: IntArray
    test: IntArray
    by: str


def split_rows(y: IntArray, *, share: float, seed: int) -> Split:
    """Divide the rows with ``y >= 0``: ``share`` of the classes for the test and half as many for validation.

    At least two classes each, so that there is something to confuse. With fewer than ten classes of two rows, the same
    shares of the rows of each class; ``by`` is ``""`` when nothing can be or should be held back. O(n log n).
    """
    labelled = np.flatnonzero(y >= 0)
    codes, counts = np.unique(y[labelled], return_counts=True)
    paired = codes[counts > 1]
    nothing = np.empty(0, dtype=np.int64)
    rng = as_generator(derive_seed(seed, "held out"))
    if share > 0 and len(paired) >= MIN_CLASSES:
        order = rng.permutation(paired)
        tested, validated = _counts(len(paired), share)
        parts = np.split(order, [tested, tested + validated])
        test, validation, train = (np.flatnonzero(np.isin(y, part)) for part in parts)
        if len(parts[2]) > 1:
            return Split(train=train, validation=validation, test=test, by="classes")
    pieces: list[list[IntArray]] = [[], [], []]
    for code in codes[counts >= MIN_ROWS] if share > 0 else ():
        order = rng.permutation(labelled[y[labelled] == code])
        tested, validated = _counts(len(order), share)
        for piece, rows in zip(pieces, np.split(order, [tested, tested + validated]), strict=True):
            piece.append(rows)
    if len(pieces[0]) < 2:
        return Split(train=labelled, validation=nothing, test=nothing, by="")
    test, validation = (np.sort(np.concatenate(piece)) for piece in pieces[:2])
    return Split(train=np.setdiff1d(labelled, np.concatenate([test, validation])), validation=validation, test=test,
                 by="rows")  # fmt: skip


def _counts(n: int, share: float) -> tuple[int, int]:
    """Return how many of ``n`` go to the test and to validation; two are always left."""
    test = min(max(2, round(share * n)), n - 4)
    return test, min(max(2, round(share / 2 * n)), n - 2 - test)
