"""Stop training when rows kept back are classified no better, and keep the best weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_labels
from spaceform.encoders.student import StudentClassifier


@final
class HeldOutAccuracy:
    """Callback of a student's ``fit``: every so many steps accuracy on rows that training does not see.

    Parameters: ``student`` that is being fitted; ``X``, ``y`` rows like those of ``fit`` and their labels; ``every``
    steps between two looks, the last step is looked at too; ``patience`` looks without a better one end training.

    Attributes: ``steps`` and ``accuracy`` of the looks; ``best_step``, 0 before the first. All of it and the best
    weights, of equal ones the latest, are part of ``state_dict``. :meth:`restore` puts them back. One pass over ``X`` a
    look.
    """

    def __init__(
        self, student: StudentClassifier, X: ArrayLike, y: ArrayLike, *, every: int = 50, patience: int = 20
    ) -> None:
        self.student, self.X = student, np.asarray(X)
        self.y = check_labels(y, len(self.X))
        self.every = check_integer(every, "every", low=1)
        self.patience = check_integer(patience, "patience", low=1)
        self.steps: list[int] = []
        self.accuracy: list[float] = []
        self.best_step = 0
        self._best: dict[str, torch.Tensor] = {}

    def __call__(self, step: int, figures: Mapping[str, float]) -> str | None:
        """Look after ``step`` (1-based) when it is time, and return a reason to stop or None."""
        if step % self.every and step != self.student.steps:
            return None
        with self.student.as_kept():
            right = float((self.student.predict(self.X) == self.y).mean())
            if not self.accuracy or right >= max(self.accuracy):
                self.best_step = step
                self._best = {name: value.detach().clone() for name, value in self.student.net_.state_dict().items()}
        self.steps.append(step)
        self.accuracy.append(right)
        waited = len(self.steps) - 1 - self.steps.index(self.best_step)
        return f"no better on held-out rows since step {self.best_step}" if waited >= self.patience else None

    def restore(self) -> None:
        """Give the student the weights of the best look; without a look it keeps its own."""
        if self._best:
            self.student.net_.load_state_dict(self._best)

    @property
    def settings(self) -> dict[str, Any]:
        """What must be equal for a run to go on."""
        digest = hashlib.sha256(np.ascontiguousarray(self.X).tobytes() + str(self.y.tolist()).encode())
        return {"every": self.every, "patience": self.patience, "data": digest.hexdigest()[:16]}

    def state_dict(self) -> dict[str, Any]:
        """Return what was seen, and the best weights."""
        return {"steps": self.steps, "accuracy": self.accuracy, "best_step": self.best_step, "best": dict(self._best)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.steps, self.accuracy = list(state["steps"]), list(state["accuracy"])
        self.best_step, self._best = int(state["best_step"]), dict(state["best"])
