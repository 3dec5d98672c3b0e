"""A learner fitted by several processes, each with its part of every batch, to the weights of one process."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from spaceform.checks import require
from spaceform.encoders.plan import Plan
from spaceform.errors import InputError
from spaceform.training.checkpoint import Checkpoint
from spaceform.training.launch import launch
from spaceform.training.loop import Callback, History
from spaceform.types import Progress


class Shared(Protocol):
    """An encoder whose training several processes can share: its ``plan`` takes a ``fabric``."""

    history_: History
    classes_per_batch: int
    samples_per_class: int

    @property
    def learned(self) -> nn.Module:
        """All modules that training changes."""
        ...

    @property
    def plan(self) -> Callable[..., Plan]:
        """Called with inputs, codes, ``fabric`` and options: makes these modules afresh, says how they are trained."""
        ...

    def run_part(
        self, plan: Plan, *, saves: Checkpoint | None, callbacks: Sequence[Callback], progress: Progress
    ) -> None:
        """Train them."""
        ...


def shared(net: nn.Module, fabric: Any) -> tuple[tuple[int, int], nn.Module]:
    """Return ``(rank, world_size)`` and the network as training calls it, with several processes or alone."""
    if fabric is None:
        return (0, 1), net
    return (fabric.global_rank, fabric.world_size), fabric.setup_module(net)


def fit_on_devices(
    learner: Shared,
    data: tuple[Any, ...],
    *,
    devices: int,
    saves: Checkpoint | None,
    callbacks: Sequence[Callback],
    progress: Progress,
    options: Mapping[str, Any],
) -> None:
    """Train ``learner``, whose door ``data`` has passed, by ``devices`` processes, and load what they learned.

    Each embeds its part of the batch; embeddings and labels are gathered with their gradient, so that every
    process has the loss of the whole batch. Callbacks must be picklable; their state comes back where they have one.
    ``options`` are handed to its plan. Raises ``InputError`` when a batch can't have a row for each process.
    """
    require("lightning_fabric", "dist")
    rows = learner.classes_per_batch * learner.samples_per_class
    if devices > rows:
        raise InputError("devices", got=devices, expected=f"at most the {rows} rows of a batch")
    # Fitted parts stay here: tensors that are sent would be one memory under all processes.
    sent = copy.copy(learner)
    for name in [name for name, value in vars(sent).items() if isinstance(value, nn.Module) and name.endswith("_")]:
        del sent.__dict__[name]
    seen = [_about(callback, sent) for callback in callbacks]
    with tempfile.TemporaryDirectory(prefix="spaceform-") as folder:
        stopped = launch(_fit_rank, sent, data, saves, seen, folder, dict(options), devices=devices, progress=progress)
        found = Checkpoint(folder=Path(folder), every=1, settings={}).load()
    if found is None:
        raise InputError("devices", got=devices, expected="processes that finish", remedy="run with one device")
    _, states, history = found
    learner.learned.load_state_dict(states["learned"])
    learner.history_ = History(history["steps"], history["figures"], stopped)
    for number, callback in enumerate(callbacks):
        if hasattr(callback, "load_state_dict"):
            callback.load_state_dict(states[f"callback-{number}"])


def _about(callback: Callback, learner: Shared) -> Callback:
    """Return a copy of a callback that is about the learner that is sent, if it is about one."""
    if not hasattr(callback, "encoder"):
        return callback
    made = copy.copy(callback)
    made.encoder = learner
    return made


def _fit_rank(
    fabric: Any,
    progress: Progress,
    learner: Shared,
    data: tuple[Any, ...],
    saves: Checkpoint | None,
    callbacks: Sequence[Callback],
    folder: str,
    options: Mapping[str, Any],
) -> str:
    """Train one process's part; the first writes what was learned into ``folder``. Return why training stopped."""
    writes = fabric.global_rank == 0
    plan = learner.plan(*data, fabric=fabric, **options)
    learner.run_part(
        plan,
        saves=None if saves is None else replace(saves, writes=writes),
        callbacks=callbacks,
        progress=progress,
    )
    if writes:
        states: dict[str, Any] = {"learned": learner.learned.state_dict()}
        states |= {f"callback-{n}": c.state_dict() for n, c in enumerate(callbacks) if hasattr(c, "state_dict")}
        history = {"steps": learner.history_.steps, "figures": learner.history_.figures}
        Checkpoint(folder=Path(folder), every=1, settings={}).save(0, states, history)
    fabric.barrier()
    return learner.history_.stopped
