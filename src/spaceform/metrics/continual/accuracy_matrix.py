"""Accuracy by task after every task, and what is read off it: average incremental accuracy, forgetting, plasticity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_real
from spaceform.errors import InputError
from spaceform.types import FloatArray


@final
class AccuracyMatrix:
    """Entry ``(t, k)``, k <= t: the accuracy on the test rows of task k after task t was learned.

    Parameters: ``rows (T,)`` test rows of each task, which weigh tasks where an accuracy is over all seen classes.
    Rows of the matrix are added as the tasks go by. Raises ``InputError`` for a row of another length than the number
    of tasks seen, for figures outside [0, 1], and for summaries of an empty matrix.

    >>> matrix = AccuracyMatrix([100, 50, 50])
    >>> for row in ([1.0], [0.8, 1.0], [0.5, 0.9, 1.0]):
    ...     matrix.add(row)
    >>> [round(value, 3) for value in matrix.seen]  # of all classes seen: the last is (50 + 45 + 50) / 200
    [1.0, 0.867, 0.725]
    >>> matrix.forgetting, matrix.plasticity  # ((1 - 0.5) + (1 - 0.9)) / 2
    (0.3, 1.0)
    """

    def __init__(self, rows: Sequence[int]) -> None:
        self.rows = tuple(check_integer(count, "rows", low=1) for count in rows)
        if not self.rows:
            raise InputError("rows", got="no task", expected="the test rows of at least one task")
        self._accuracies: list[list[float]] = []

    def add(self, accuracies: ArrayLike) -> None:
        """Add the accuracies ``(t + 1,)`` on tasks 0 to t, measured after task t."""
        found = np.asarray(accuracies, dtype=np.float64)
        expected = len(self._accuracies) + 1
        if found.shape != (expected,) or expected > len(self.rows):
            raise InputError("accuracies", got=f"shape {found.shape}", expected=f"({expected},) of {len(self.rows)}")
        self._accuracies.append([check_real(value, "accuracies", low=0, high=1) for value in found.tolist()])

    def __len__(self) -> int:
        """Return how many tasks were learned."""
        return len(self._accuracies)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccuracyMatrix) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.rows, tuple(map(tuple, self._accuracies))))

    @property
    def values(self) -> FloatArray:
        """The matrix ``(t, t)``, NaN above the diagonal."""
        matrix = np.full((len(self), len(self)), np.nan)
        for task, row in enumerate(self._accuracies):
            matrix[task, : task + 1] = row
        return matrix

    @property
    def seen(self) -> list[float]:
        """After each task the accuracy on the test rows of all tasks seen."""
        return [float(np.average(row, weights=self.rows[: len(row)])) for row in self._learned()]

    @property
    def average_incremental_accuracy(self) -> float:
        """The mean of :attr:`seen` over tasks, the first counted (Rebuffi and others, CVPR 2017)."""
        return float(np.mean(self.seen))

    @property
    def final_accuracy(self) -> float:
        """The last of :attr:`seen`."""
        return self.seen[-1]

    @property
    def mean_final_accuracy(self) -> float:
        """The mean over tasks of the last accuracies, each task counted alike."""
        return float(np.mean(self._learned()[-1]))

    @property
    def forgetting(self) -> float:
        """The mean over all tasks but the last of (best earlier accuracy - final accuracy); 0 after one task.

        Chaudhry and others, ECCV 2018, with the best over the tasks before the last; negative where later tasks help.
        """
        rows = self._learned()
        last = len(rows) - 1
        drops = [max(row[task] for row in rows[task:last]) - rows[last][task] for task in range(last)]
        return float(np.mean(drops)) if drops else 0.0

    @property
    def plasticity(self) -> float:
        """The mean over tasks of the accuracy right after the task was learned."""
        return float(np.mean([row[-1] for row in self._learned()]))

    def to_dict(self) -> dict[str, list[int] | list[list[float]]]:
        """Return rows and accuracies as JSON takes them; :meth:`from_dict` reads them."""
        return {"rows": list(self.rows), "accuracies": [list(row) for row in self._accuracies]}

    @classmethod
    def from_dict(cls, plain: dict[str, list[int] | list[list[float]]]) -> AccuracyMatrix:
        """Return the matrix that :meth:`to_dict` described."""
        made = cls([int(count) for count in plain["rows"]])  # type: ignore[arg-type]
        for row in plain["accuracies"]:
            made.add(row)
        return made

    def figures(self, prefix: str = "") -> dict[str, float]:
        """Return the summaries by name."""
        return {
            f"{prefix}average": self.average_incremental_accuracy,
            f"{prefix}final": self.final_accuracy,
            f"{prefix}mean_final": self.mean_final_accuracy,
            f"{prefix}forgetting": self.forgetting,
            f"{prefix}plasticity": self.plasticity,
        }

    def _learned(self) -> list[list[float]]:
        if not self._accuracies:
            raise InputError("accuracies", got="no task learned", expected="at least one row", remedy="call add first")
        return self._accuracies
