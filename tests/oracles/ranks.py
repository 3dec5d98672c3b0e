"""Runs a function in real processes that form one gloo group on this machine, with a hard limit of time."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


def on_ranks(work: Callable[[], Any], folder: Path, *, world: int = 2, seconds: float = 120) -> list[Any]:
    """Return what ``work()``, a function at the top of a module, returns on each rank, in their order."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=_run, args=(work, rank, world, str(folder), answers)) for rank in range(world)]
    try:
        for process in processes:
            process.start()
        found = dict(answers.get(timeout=seconds) for _ in processes)
    except queue.Empty:
        raise AssertionError(f"no answer of {world} processes within {seconds} s") from None
    finally:
        for process in processes:
            process.join(5)
            if process.is_alive():
                process.kill()
    failed = [answer for answer in found.values() if isinstance(answer, Exception)]
    assert not failed, failed
    return [found[rank] for rank in range(world)]


def _run(work: Callable[[], Any], rank: int, world: int, folder: str, answers: Any) -> None:
    torch.set_num_threads(1)
    try:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/ranks", rank=rank, world_size=world, timeout=timedelta(seconds=60)
        )
        assert dist.get_world_size() == world
        answers.put((rank, work()))
    except Exception as error:  # whatever it is, the parent has to hear of it
        answers.put((rank, RuntimeError(repr(error))))
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
