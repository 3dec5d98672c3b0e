"""Rows of the teacher, rows of the student, rows that judge both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_partial_labels, check_real
from spaceform.data.protocols.frozen import FrozenSplit, shares
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.types import IntArray

KIND = "distillation"


@dataclass(frozen=True)
class Distillation:
    """Rows to train a teacher and to distil it on, over a :class:`FrozenSplit`."""

    split: FrozenSplit

    def __post_init__(self) -> None:
        self.split.expect(KIND)

    @property
    def teacher(self) -> IntArray:
        """Rows to train the teacher on."""
        return self.split.parts["teacher"]

    @property
    def transfer(self) -> IntArray:
        """Rows to train the student on: a part of the teacher's."""
        return self.split.parts["transfer"]

    @property
    def validation(self) -> IntArray:
        """Rows to choose temperatures and other settings on, the same for every method."""
        return self.split.parts["validation"]

    @property
    def test(self) -> IntArray:
        """Rows that only judge."""
        return self.split.parts["test"]


def draw_distillation(
    labels: ArrayLike, *, transfer: float = 1.0, validation: float = 0.1, test: float = 0.25, seed: int = 0
) -> Distillation:
    """Draw the rows of teacher, student, tuning and judging, class by class.

    Parameters: ``labels (n,)`` integers, rows with -1 are left out; ``transfer``: the share in (0, 1] of each class's
    teacher rows on which the student learns; ``validation`` and ``test``: shares of each class in (0, 1).

    Raises ``InputError`` for a class with too few rows, or for one class only. O(n log n).
    """
    y = check_partial_labels(labels, len(np.asarray(labels)), "labels")
    if len(np.unique(y[y >= 0])) < 2:
        raise InputError("labels", got="fewer than 2 classes", expected="at least 2 classes")
    portions = {
        "validation": check_real(validation, "validation", low=0, high=1, open_ends=True),
        "test": check_real(test, "test", low=0, high=1, open_ends=True),
    }
    share = check_real(transfer, "transfer", low=0, high=1)
    if share == 0:
        raise InputError("transfer", got=share, expected="a share over 0")
    cut = shares(y, np.flatnonzero(y >= 0), portions, seed=seed)
    teacher = cut.pop("rest")
    kept = shares(y, teacher, {"not transferred": 1 - share}, seed=derive_seed(seed, "transfer"))["rest"]
    return Distillation(
        FrozenSplit.of(
            KIND,
            y,
            settings={"transfer": share, **portions, "seed": seed},
            parts={"teacher": teacher, "transfer": kept, **cut},
            classes={"all": np.unique(y[y >= 0])},
        )
    )
