"""Exponential moving average of weights."""

from __future__ import annotations

import torch
from torch import nn

from spaceform.checks import check_real


class WeightAverage:
    """Keeps ``a <- decay * a + (1 - decay) * w`` of a model's parameters; buffers (BatchNorm statistics) are copied.

    With ``warmup`` the decay of update t (from 0) is ``min(decay, (1 + t) / (10 + t))``, so that short runs are
    not dominated by the random start. O(parameters) per update.
    """

    def __init__(self, model: nn.Module, *, decay: float, warmup: bool = True) -> None:
        self.decay = check_real(decay, "decay", low=0, high=1)
        self.warmup = warmup
        self.updates = 0
        self._weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self._parameters = {name for name, _ in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights of ``model`` after an optimiser step."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        for name, value in model.state_dict().items():
            if name in self._parameters:
                self._weights[name].lerp_(value, 1 - decay)
            else:
                self._weights[name].copy_(value)
        self.updates += 1

    def copy_to(self, model: nn.Module) -> None:
        """Load the averaged weights into ``model``."""
        model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, object]:
        """Return the averages and the number of updates."""
        return {"updates": self.updates, "weights": dict(self._weights)}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        self._weights = {name: value.clone() for name, value in state["weights"].items()}  # type: ignore[attr-defined]
