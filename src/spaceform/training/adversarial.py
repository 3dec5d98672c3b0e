"""Two networks against each other, a step of each at a time, with Reptile's small steps (DAFOS-Net)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from spaceform.checks import check_real
from spaceform.errors import InputError


@torch.no_grad()
def reptile_interpolate_(parameters: Iterable[torch.Tensor], old: Sequence[torch.Tensor], rate: float) -> None:
    """Move ``parameters`` in place to ``old + rate (new - old)``: only a share of what was learned is kept.

    ``rate`` in [0, 1]; 1 keeps all of it, 0 nothing. Raises ``InputError`` when the two differ in number. O(size).
    """
    check_real(rate, "rate", low=0, high=1)
    new = list(parameters)
    if len(new) != len(old):
        raise InputError("old", got=f"{len(old)} tensors", expected=f"{len(new)}, one per parameter")
    if new:
        torch._foreach_lerp_(new, list(old), 1 - rate)  # all at once: such networks are many and tiny


class AdversarialSteps:
    """Alternating Adam steps of two modules, each followed by Reptile's interpolation.

    Parameters: ``judge`` learns first in each round, then ``maker``; ``learning_rate`` of both (1e-4 in DAFOS-Net);
    ``reptile_rate`` in (0, 1] (0.003 there; 1 is plain Adam). Called as a callback of the training loop it does
    nothing, but its optimisers are saved with the run. Costs one pass of each loss a round.
    """

    def __init__(
        self, maker: nn.Module, judge: nn.Module, *, learning_rate: float = 1e-4, reptile_rate: float = 0.003
    ) -> None:
        check_real(learning_rate, "learning_rate", low=0, open_ends=True)
        self.reptile_rate = check_real(reptile_rate, "reptile_rate", low=0, high=1)
        self._learners = {"judge": list(judge.parameters()), "maker": list(maker.parameters())}
        self._optimizers = {
            name: torch.optim.Adam(learner, lr=learning_rate, foreach=True) for name, learner in self._learners.items()
        }

    def round(
        self, judge_loss: Callable[[], torch.Tensor], maker_loss: Callable[[], torch.Tensor]
    ) -> tuple[float, float]:
        """Take one step of each and return both losses; neither leaves gradients behind."""
        values = []
        for name, loss in (("judge", judge_loss), ("maker", maker_loss)):
            learner = self._learners[name]
            before = [parameter.detach().clone() for parameter in learner]
            value = loss()
            gradients = torch.autograd.grad(value, learner, allow_unused=True)
            for parameter, gradient in zip(learner, gradients, strict=True):
                parameter.grad = gradient
            self._optimizers[name].step()
            self._optimizers[name].zero_grad(set_to_none=True)
            reptile_interpolate_(learner, before, self.reptile_rate)
            values.append(float(value.detach()))
        return values[0], values[1]

    def __call__(self, step: int, figures: Mapping[str, float]) -> str | None:
        """See a step of the loop and never stop it."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both optimisers."""
        return {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the state of :meth:`state_dict`."""
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state[name])
