"""How long free vectors are moved, and by what."""

from __future__ import annotations

from dataclasses import dataclass

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError
from spaceform.training.free_vectors.losses import LOSSES, Objective

BACKENDS = ("numpy", "torch")


@dataclass(frozen=True, kw_only=True)
class FreeOptimiser:
    """How free embeddings are optimised; the defaults are the paper's.

    ``temperature`` divides the cosines; ``learning_rate`` is Adam's; at most ``max_steps`` steps, fewer when the loss
    has not fallen by ``tolerance`` for ``patience`` steps. ``check_every`` steps the answers are compared. With
    ``stop_when_exact=False`` it goes on for a wider margin. ``loss`` is the paper's ``infonce`` or ``sigmoid``, which
    asks for one threshold of all queries (:func:`~spaceform.training.free_vectors.losses.slope`). ``backend``:
    ``numpy``, or ``torch``, which puts all problems of a search that do not wait for each other in one tensor on
    ``device``; the numbers are the same up to rounding. Raises ``InputError`` for values out of range.
    """

    temperature: float = 0.1
    learning_rate: float = 0.01
    max_steps: int = 100_000
    patience: int = 1_000
    tolerance: float = 1e-5
    check_every: int = 50
    stop_when_exact: bool = True
    loss: str = "infonce"
    backend: str = "numpy"
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name in ("temperature", "learning_rate"):
            if check_real(getattr(self, name), name, low=0) == 0:
                raise InputError(name, got=0.0, expected="a number above 0")
        for name in ("max_steps", "patience", "check_every"):
            check_integer(getattr(self, name), name, low=1)
        check_real(self.tolerance, "tolerance", low=0)
        check_choice(self.loss, "loss", LOSSES)
        check_choice(self.backend, "backend", BACKENDS)
        if self.backend == "numpy" and self.device != "cpu":
            raise InputError("device", got=repr(self.device), expected="'cpu' for numpy", remedy="backend='torch'")

    @property
    def objective(self) -> Objective:
        """The loss and its step."""
        return Objective(loss=self.loss, temperature=self.temperature, learning_rate=self.learning_rate)


PAPER = FreeOptimiser()
