"""A learner fitted by several processes, each with its part of every batch, to the weights of one process."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from spaceform.checks import require
from spaceform.errors import InputError
from spaceform.training.checkpoint import Checkpoint
from spaceform.training.launch import launch
from spaceform.training.loop import Callback, History
from spaceform.types import Progress


class Learner(Protocol):
    """What is fitted: it makes its parts, trains them, and keeps them under the names ``FITTED``."""

    net_: nn.Module
    loss_: nn.Module
    history_: History
    classes_per_batch: int
    samples_per_class: int

    def make_parts(self) -> None:
        """Make network and loss afresh."""

    def train_parts(
        self,
        data: tuple[Any, Any],
        *,
        saves: Checkpoint | None,
        callbacks: Sequence[Callback],
        fabric: Any,
        progress: Progress,
    ) -> None:
        """Train them on inputs and codes."""


FITTED = ("net_", "loss_", "history_")


def fit_on_devices(
    learner: Learner,
    data: tuple[Any, Any],
    *,
    devices: int,
    saves: Checkpoint | None,
    callbacks: Sequence[Callback],
    progress: Progress,
) -> None:
    """Train ``learner``, whose door ``data`` has passed, by ``devices`` processes, and load what they learned.

    Each embeds its part of the batch; embeddings and labels are gathered with their gradient, so that every
    process has the loss of the whole batch. Callbacks must be picklable; their state comes back where they have one.
    Raises ``InputError`` when a batch can't have a row for each process.
    """
    require("lightning_fabric", "dist")
    rows = learner.classes_per_batch * learner.samples_per_class
    if devices > rows:
        raise InputError("devices", got=devices, expected=f"at most the {rows} rows of a batch")
    # Fitted parts stay here: tensors that are sent would be one memory under all processes.
    sent = copy.copy(learner)
    for name in FITTED:
        sent.__dict__.pop(name, None)
    seen = [_about(callback, sent) for callback in callbacks]
    with tempfile.TemporaryDirectory(prefix="spaceform-") as folder:
        stopped = launch(_fit_rank, sent, data, saves, seen, folder, devices=devices, progress=progress)
        found = Checkpoint(folder=Path(folder), every=1, settings={}).load()
    if found is None:
        raise InputError("devices", got=devices, expected="processes that finish", remedy="run with one device")
    _, states, history = found
    learner.net_.load_state_dict(states["net"])
    learner.loss_.load_state_dict(states["loss"])
    learner.history_ = History(history["steps"], history["figures"], stopped)
    for number, callback in enumerate(callbacks):
        if hasattr(callback, "load_state_dict"):
            callback.load_state_dict(states[f"callback-{number}"])


def _about(callback: Callback, learner: Learner) -> Callback:
    """Return a copy of a callback that is about the learner that is sent, if it is about one."""
    if not hasattr(callback, "encoder"):
        return callback
    made = copy.copy(callback)
    made.encoder = learner
    return made


def _fit_rank(
    fabric: Any,
    progress: Progress,
    learner: Learner,
    data: tuple[Any, Any],
    saves: Checkpoint | None,
    callbacks: Sequence[Callback],
    folder: str,
) -> str:
    """Train one process's part; the first writes what was learned into ``folder``. Return why training stopped."""
    learner.make_parts()
    learner.train_parts(data, saves=saves, callbacks=callbacks, fabric=fabric, progress=progress)
    if fabric.global_rank == 0:
        states: dict[str, Any] = {"net": learner.net_.state_dict(), "loss": learner.loss_.state_dict()}
        states |= {f"callback-{n}": c.state_dict() for n, c in enumerate(callbacks) if hasattr(c, "state_dict")}
        history = {"steps": learner.history_.steps, "figures": learner.history_.figures}
        Checkpoint(folder=Path(folder), every=1, settings={}).save(0, states, history)
    fabric.barrier()
    return learner.history_.stopped
