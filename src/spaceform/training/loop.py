"""The one training loop. Every method that trains by gradient descent goes through :func:`train`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.rng import derive_seed
from spaceform.training.averaging import WeightAverage
from spaceform.training.checkpoint import Checkpoint
from spaceform.types import Progress, no_progress

Batch = TypeVar("Batch")
SHOW_EVERY = 0.2
"""Seconds between two calls of ``progress``."""

LossStep = Callable[[Batch], tuple[torch.Tensor, Mapping[str, float]]]
"""Maps a batch to the scalar loss and figures worth recording; closes over the modules that it trains."""


@dataclass(frozen=True)
class History:
    """What a run recorded: ``figures[name][i]`` was seen at step ``steps[i]``; ``stopped`` says why it ended early."""

    steps: list[int] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)
    stopped: str = ""

    def last(self, name: str) -> float:
        """Return the newest value of a figure."""
        return self.figures[name][-1]


class Callback(Protocol):
    """Called after every step; may return a reason to stop. Callbacks with ``state_dict`` are saved with the run."""

    def __call__(self, step: int, figures: Mapping[str, float]) -> str | None:
        """See the state after ``step`` (1-based) and return a reason to stop, or None."""
        ...


def train(
    model: nn.Module,
    loss_step: LossStep[Batch],
    batches: Callable[[int], Batch],
    *,
    steps: int,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    average: WeightAverage | None = None,
    clip_norm: float | None = None,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Progress = no_progress,
    task: str = "training",
) -> History:
    """Run ``steps`` optimiser steps on ``model`` in place and return the history.

    ``batches(step)`` (0-based) must be a pure function of the step, and dropout or other draws from torch's
    global generator are seeded from ``(seed, step)`` inside a fork; so a run that was killed and resumed from
    ``checkpoint`` ends with bit-identical weights, and the caller's global generator is left as it was.
    The mode (train/eval) of the model is set to train at the start and never touched again.

    Raises ``InputError`` when the loss is not finite (the step and the last figures are named): weights that
    learned from NaN are worth nothing. Costs one forward and backward pass a step.
    """
    check_integer(steps, "steps", low=0)
    run = _Run(model, optimizer, schedule, average, callbacks, checkpoint)
    first, history = run.restore()
    if history.stopped:
        return history
    model.train()
    begun, shown = time.monotonic(), 0.0
    for step in range(first, steps):
        figures = _step(model, loss_step, batches(step), optimizer, clip_norm, derive_seed(seed, "step", step))
        reason = run.after_step(history, step + 1, figures)
        if reason:
            history = History(history.steps, history.figures, reason)
        done = step + 1 == steps or bool(reason)
        now = time.monotonic()
        if done or now - shown > SHOW_EVERY:
            speed = (step + 1 - first) / max(now - begun, 1e-9)
            progress(task, steps if reason else step + 1, steps, {**figures, "steps/s": speed})
            shown = now
        run.save(step + 1, history, done=done)
        if reason:
            break
    return history


@dataclass(frozen=True)
class _Run:
    """Everything besides the batch that a step changes, and how it is saved."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler | None
    average: WeightAverage | None
    callbacks: Sequence[Callback]
    checkpoint: Checkpoint | None

    def parts(self) -> dict[str, Any]:
        named: dict[str, Any] = {"model": self.model, "optimizer": self.optimizer}
        named |= {"schedule": self.schedule} if self.schedule is not None else {}
        named |= {"average": self.average} if self.average is not None else {}
        return named | {f"callback-{i}": part for i, part in enumerate(self.callbacks) if hasattr(part, "state_dict")}

    def restore(self) -> tuple[int, History]:
        saved = self.checkpoint.load() if self.checkpoint is not None else None
        if saved is None:
            return 0, History()
        step, states, recorded = saved
        for name, part in self.parts().items():
            part.load_state_dict(states[name])
        return step, History(**recorded)

    def after_step(self, history: History, step: int, figures: Mapping[str, float]) -> str:
        if self.schedule is not None:
            self.schedule.step()
        if self.average is not None:
            self.average.update(self.model)
        history.steps.append(step)
        for name, value in figures.items():
            history.figures.setdefault(name, []).append(value)
        return "; ".join(reason for callback in self.callbacks if (reason := callback(step, figures)))

    def save(self, step: int, history: History, *, done: bool) -> None:
        if self.checkpoint is not None and (done or step % self.checkpoint.every == 0):
            record = {"steps": history.steps, "figures": history.figures, "stopped": history.stopped}
            self.checkpoint.save(step, {name: part.state_dict() for name, part in self.parts().items()}, record)


def _step(
    model: nn.Module,
    loss_step: LossStep[Batch],
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    clip_norm: float | None,
    seed: int,
) -> dict[str, float]:
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would queue a call with a stack trace for every absent accelerator, at every step
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)
        optimizer.zero_grad(set_to_none=True)
        loss, figures = loss_step(batch)
        value = float(loss.detach())
        if not value - value == 0:
            raise InputError(
                "loss", got=value, expected="a finite number", remedy="lower the learning rate or check the inputs"
            )
        if loss.requires_grad:
            loss.backward()
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
    return {"loss": value, **{name: float(figure) for name, figure in figures.items()}}
