"""Several processes for one run, started by lightning-fabric: one for each device, or on the processor over gloo."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from spaceform.checks import check_integer, require
from spaceform.errors import InputError, SpaceformError
from spaceform.types import Progress, no_progress

Work = Callable[..., Any]
"""Called on every rank with the Fabric, a progress and the arguments; a function at the top of a module."""


def check_devices(devices: int) -> int:
    """Return a number of processes that this machine has devices for: CUDA's where there are some, else its cores."""
    cuda = torch.cuda.device_count()
    most = cuda or os.cpu_count() or 1
    check_integer(devices, "devices", low=1)
    if devices > most:
        held = f"{most} CUDA device(s)" if cuda else f"{most} core(s)"
        raise InputError("devices", got=devices, expected=f"an integer from 1 to {most}: this machine has {held}")
    return devices


def launch(work: Work, *arguments: Any, devices: int, progress: Progress = no_progress) -> Any:
    """Return what ``work(fabric, progress, *arguments)`` returns on the first of ``devices`` processes.

    They form one group over gloo, or over NCCL with a CUDA device each, and rank and size are those of the
    Fabric. What the first says to its progress is said to ours. Arguments and answer must be small or picklable, and
    large results are better written to a file. Takes some seconds to start.

    Raises ``InputError`` for arguments that can't be sent, whatever error of this library ``work`` raises on the first
    process, and ``MissingExtraError`` without lightning-fabric. No process outlives the call.
    """
    require("lightning_fabric", "dist")
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    _hush()
    cuda = torch.cuda.device_count() >= devices
    strategy = DDPStrategy(start_method="spawn", process_group_backend="nccl" if cuda else "gloo")
    fabric: Any = Fabric(accelerator="cuda" if cuda else "cpu", devices=devices, strategy=strategy)
    said: Any = multiprocessing.get_context("spawn").SimpleQueue()
    listener = threading.Thread(target=_listen, args=(said, progress), daemon=True)
    others, surroundings = set(multiprocessing.active_children()), dict(os.environ)
    listener.start()
    try:
        # in a partial, since Fabric looks into collections among the arguments and refuses what is frozen
        answer = fabric.launch(_on_rank, partial(_call, work, *arguments), said)
    except (AttributeError, TypeError) as error:
        if "pickle" not in str(error):
            raise
        expected = "settings that other processes can be sent: a net as a function at the top of a module"
        raise InputError("devices", got=f"{devices} ({error})", expected=expected) from error
    finally:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
            process.join()
        for name in set(os.environ) - set(surroundings):  # Fabric leaves its address and port there
            del os.environ[name]
        said.put(None)
        listener.join()
    if isinstance(answer, SpaceformError):
        raise answer
    return answer


def _on_rank(fabric: Any, work: Work, said: Any) -> Any:
    _hush()
    first = fabric.global_rank == 0

    def tell(task: str, done: int, total: int, figures: Mapping[str, float] | None = None) -> None:
        said.put((task, done, total, None if figures is None else dict(figures)))

    try:
        return work(fabric, tell if first else no_progress)
    except SpaceformError as error:
        return error


def _call(work: Work, *arguments: Any) -> Any:
    *sent, fabric, tell = arguments
    return work(fabric, tell, *sent)


def _listen(said: Any, progress: Progress) -> None:
    while (message := said.get()) is not None:
        progress(*message)


def _hush() -> None:
    """Keep lightning-fabric's announcements of its ranks, and its advice, off the terminal."""
    for name in ("lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning_fabric")
