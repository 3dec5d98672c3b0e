"""A callback that looks at rows kept back, stops training when they get no better, and keeps the best weights."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_labels
from spaceform.encoders.abstract import AbstractEncoder
from spaceform.training.distributed import from_first, is_first


class AbstractWatch(ABC):
    """Callback of an encoder's ``fit``: every so many steps a look at rows that training does not see.

    A subclass names the ``FIGURES`` of a look, the last of which judges (higher is better), and ``WHAT`` it stops for;
    ``_look`` measures them on the encoder as it would be kept. Of equal looks the first is kept, with ``LATEST`` the
    last. ``seen`` holds the figures by name. With several processes the first looks, and all do what it says.
    """

    FIGURES: ClassVar[tuple[str, ...]]
    WHAT: ClassVar[str]
    LATEST: ClassVar[bool] = False

    def __init__(self, encoder: AbstractEncoder, X: ArrayLike, y: ArrayLike, *, every: int, patience: int) -> None:
        self.encoder, self.X = encoder, np.asarray(X)
        self.y = check_labels(y, len(self.X))
        self.every = check_integer(every, "every", low=1)
        self.patience = check_integer(patience, "patience", low=1)
        self.steps: list[int] = []
        self.seen: dict[str, list[float]] = {name: [] for name in self.FIGURES}
        self.best_step = 0
        self._best: dict[str, torch.Tensor] = {}

    def __call__(self, step: int, figures: Mapping[str, float]) -> str | None:
        """Look after ``step`` (1-based) when it is time, and return a reason to stop or None."""
        if step % self.every and step != getattr(self.encoder, "steps", 0):
            return None
        with self.encoder.as_kept():
            found = from_first(self._look() if is_first() else [0.0] * len(self.FIGURES))
            before, now = self.seen[self.FIGURES[-1]], found[-1]
            if not before or now > max(before) or (self.LATEST and now == max(before)):
                self.best_step = step
                self._best = {n: value.detach().clone() for n, value in self.encoder.learned.state_dict().items()}
        self.steps.append(step)
        for name, value in zip(self.FIGURES, found, strict=True):
            self.seen[name].append(value)
        waited = len(self.steps) - 1 - self.steps.index(self.best_step)
        return f"no better {self.WHAT} since step {self.best_step}" if waited >= self.patience else None

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
        return {"steps": self.steps, **self.seen, "best_step": self.best_step, "best": dict(self._best)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.steps, self.best_step = list(state["steps"]), int(state["best_step"])
        self.seen = {name: list(state[name]) for name in self.FIGURES}
        self._best = dict(state["best"])

    @abstractmethod
    def _look(self) -> list[float]:
        """Return the figures of the encoder as it stands."""
