"""Stop training when retrieval on rows kept back gets no better, and keep the best weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_labels
from spaceform.encoders.abstract import AbstractEncoder
from spaceform.metrics.retrieval import retrieval
from spaceform.training.distributed import from_first, is_first


@final
class EarlyStopping:
    """Callback of an encoder's ``fit``: every so many steps retrieval among rows that training does not see.

    Parameters: ``encoder`` that is being fitted; ``X``, ``y`` rows like those of ``fit`` and their classes, of classes
    kept back as a rule, at least one of them with two rows; ``every`` steps between two looks, the last step is looked
    at too; ``patience`` looks without a better MAP@R end training.

    Attributes: ``steps``, and ``recall_at_1`` and ``map_at_r`` then; ``best_step``, 0 before the first look. All of it
    and the best weights are part of ``state_dict``, so that a run that goes on from a checkpoint decides as an unbroken
    one. :meth:`restore` puts the best weights back. With several processes the first looks, and all do what it says.

    Raises ``InputError`` for labels of another length. One pass over ``X`` and O(n^2 d) a look.
    """

    def __init__(
        self, encoder: AbstractEncoder, X: ArrayLike, y: ArrayLike, *, every: int = 20, patience: int = 10
    ) -> None:
        self.encoder, self.X = encoder, np.asarray(X)
        self.y = check_labels(y, len(self.X))
        self.every = check_integer(every, "every", low=1)
        self.patience = check_integer(patience, "patience", low=1)
        self.steps: list[int] = []
        self.recall_at_1: list[float] = []
        self.map_at_r: list[float] = []
        self.best_step = 0
        self._best: dict[str, torch.Tensor] = {}

    def __call__(self, step: int, figures: Mapping[str, float]) -> str | None:
        """Look after ``step`` (1-based) when it is time, and return a reason to stop or None."""
        if step % self.every and step != getattr(self.encoder, "steps", 0):
            return None
        with self.encoder.as_kept():
            recall, average = from_first(self._look() if is_first() else (0.0, 0.0))
            if not self.map_at_r or average > max(self.map_at_r):
                self.best_step = step
                self._best = {n: value.detach().clone() for n, value in self.encoder.learned.state_dict().items()}
        self.steps.append(step)
        self.recall_at_1.append(recall)
        self.map_at_r.append(average)
        waited = len(self.steps) - 1 - self.steps.index(self.best_step)
        return f"no better MAP@R on held-out rows since step {self.best_step}" if waited >= self.patience else None

    def restore(self) -> None:
        """Give the encoder the weights of the best look; without a look it keeps its own."""
        if self._best:
            self.encoder.learned.load_state_dict(self._best)

    @property
    def settings(self) -> dict[str, Any]:
        """What must be equal for a run to go on."""
        digest = hashlib.sha256(np.ascontiguousarray(self.X).tobytes() + str(self.y.tolist()).encode())
        return {"every": self.every, "patience": self.patience, "data": digest.hexdigest()[:16]}

    def state_dict(self) -> dict[str, Any]:
        """Return what was seen, and the best weights."""
        seen = {"steps": self.steps, "recall_at_1": self.recall_at_1, "map_at_r": self.map_at_r}
        return {**seen, "best_step": self.best_step, "best": dict(self._best)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.steps, self.best_step = list(state["steps"]), int(state["best_step"])
        self.recall_at_1, self.map_at_r = list(state["recall_at_1"]), list(state["map_at_r"])
        self._best = dict(state["best"])

    def _look(self) -> tuple[float, float]:
        found = retrieval(self.encoder.encode(self.X), self.y, ks=(1,))
        return found.recall_at[1], found.map_at_r
