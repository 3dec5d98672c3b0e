"""What an encoder's training consists of, apart from where it is saved and who watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from spaceform.training.averaging import WeightAverage
from spaceform.training.checkpoint import Checkpoint
from spaceform.training.loop import Callback, History, LossStep, train
from spaceform.types import Progress


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The arguments of :func:`spaceform.training.loop.train` that the method decides.

    ``parts``: all modules that learn. ``average``: of their weights, which they have at the end. ``settle``: called
    when averaged weights were put in.
    """

    parts: nn.Module
    loss_step: LossStep[Any]
    batches: Callable[[int], Any]
    steps: int
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None
    average: WeightAverage | None = None
    settle: Callable[[], object] | None = None
    task: str = "training the encoder"

    def run(
        self,
        *,
        seed: int,
        saves: Checkpoint | None = None,
        callbacks: Sequence[Callback] = (),
        progress: Progress,
    ) -> History:
        """Train the parts in place and return the history; of no step it is empty."""
        if self.steps == 0:
            return History()
        history = train(
            self.parts,
            self.loss_step,
            self.batches,
            steps=self.steps,
            optimizer=self.optimizer,
            schedule=self.schedule,
            average=self.average,
            seed=seed,
            checkpoint=saves,
            callbacks=callbacks,
            progress=progress,
            task=self.task,
        )
        self.take_average()
        return history

    def take_average(self) -> None:
        """Give the parts the averaged weights, if these are kept."""
        if self.average is not None:
            self.average.copy_to(self.parts)
            if self.settle is not None:
                self.settle()


def with_own_rate(net: nn.Module, loss: nn.Module, *, rate: float, factor: float) -> list[dict[str, Any]]:
    """Return parameter groups: the network at the optimiser's rate, what a loss learns at ``factor`` times ``rate``."""
    groups: list[dict[str, Any]] = [{"params": list(net.parameters())}]
    own = [value for value in loss.parameters() if value.requires_grad]
    return [*groups, {"params": own, "lr": factor * rate}] if own else groups
