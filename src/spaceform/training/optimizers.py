"""Optimisers by name, each with the schedule that suits it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from spaceform.checks import check_choice, check_real
from spaceform.errors import InputError

LEARNING_RATES = {"adam": 2e-3, "adagrad": 0.05}
"""Defaults: for Adam what suited small convolutional nets, for AdaGrad FaceNet's (section 3)."""


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter] | Iterable[Mapping[str, Any]], *, rate: float | None, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return the optimiser and its schedule over ``steps`` steps.

    ``"adam"`` has one rise and fall of the rate (1cycle); ``"adagrad"`` falls to a tenth for the last fifth, as FaceNet
    lowers it "to finalize the model". ``parameters`` as torch takes them; groups may have their own ``lr``, which
    rises and falls alike. ``rate`` None takes the default. Raises ``InputError`` for other names and rates <= 0.
    """
    check_choice(name, "optimizer", tuple(LEARNING_RATES))
    top = check_real(LEARNING_RATES[name] if rate is None else rate, "learning_rate", low=0, open_ends=True)
    if name == "adam":
        adam = torch.optim.Adam(parameters, lr=top)  # type: ignore[arg-type]
        tops = [group["lr"] for group in adam.param_groups]
        return adam, torch.optim.lr_scheduler.OneCycleLR(adam, tops, total_steps=max(steps, 2), cycle_momentum=False)
    adagrad = torch.optim.Adagrad(parameters, lr=top)  # type: ignore[arg-type]
    return adagrad, torch.optim.lr_scheduler.MultiStepLR(adagrad, [max(1, round(0.8 * steps))], gamma=0.1)


def warmup_cosine(step: float, *, warmup: float, total: float, rate: float, lowest: float) -> float:
    """Return the rate at ``step``: straight up from ``lowest`` to ``rate`` over ``warmup``, then half a cosine down.

    Steps and epochs alike; at ``total`` and beyond it is ``lowest`` again. Raises ``InputError`` unless
    ``0 <= warmup < total`` and ``0 <= lowest <= rate``.
    """
    end = check_real(total, "total", low=0, open_ends=True)
    rise = check_real(warmup, "warmup", low=0, high=end)
    top = check_real(rate, "rate", low=0)
    low = check_real(lowest, "lowest", low=0, high=top)
    if rise == end:
        raise InputError("warmup", got=rise, expected=f"less than the {end:g} in all")
    if step < rise:
        return low + (top - low) * step / rise
    return low + (top - low) * (1 + math.cos(math.pi * min(1.0, (step - rise) / (end - rise)))) / 2


class JointOptimizer(torch.optim.Optimizer):
    """Several optimisers that step together, each with parameters of its own: Adam for a network, SGD for its vectors.

    ``param_groups`` are those of all parts, in order, so that a rate set there is seen by the part; ``state_dict``
    holds the parts'. Raises ``InputError`` for fewer than one part.
    """

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        if not parts:
            raise InputError("parts", got="none", expected="at least one optimiser")
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Let every part take its step. Raises ``InputError`` for a closure, which no two parts can share."""
        if closure is not None:
            raise InputError(
                "closure", got="a closure", expected="None: the parts step on the gradients that are there"
            )
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the parts, by number."""
        return {str(number): part.state_dict() for number, part in enumerate(self.parts)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        for number, part in enumerate(self.parts):
            part.load_state_dict(state_dict[str(number)])
        self.param_groups = [group for part in self.parts for group in part.param_groups]
