"""Who runs the workers: this process, processes of this machine, Ray or Dask. All hand back reports as units end."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing import get_context
from typing import Any, Protocol

from spaceform.checks import require
from spaceform.errors import InterruptedRunError
from spaceform.workflows.embedding.job import Job, Report, Unit
from spaceform.workflows.embedding.worker import Worker

MAX_LOSSES = 3
"""Times that workers may be lost (killed, out of memory) before the run is given up."""

RAY_STORE = 200 << 20
"""Bytes of Ray's object store on one machine: units and reports are small, rows never pass through it."""

BLOCKS_PER_WORKER = 100
"""Tasks that Ray is given per worker at most; more units than that share one."""


class Engine(Protocol):
    """Runs the units of a job on ``workers`` workers and yields their reports in the order in which they end."""

    def __call__(self, job: Job, units: Sequence[Unit], *, workers: int, address: str | None) -> Iterator[Report]:
        """Run the units; ``address`` is that of a cluster, None for this machine."""
        ...


def local(job: Job, units: Sequence[Unit], *, workers: int, address: str | None = None) -> Iterator[Report]:
    """Run in this process, or in ``workers`` processes of it; a killed one is replaced, its unit done again."""
    if workers == 1:
        worker = Worker(job)
        yield from map(worker.attempt, units)
        return
    left, losses = {unit.number: unit for unit in units}, 0
    while left:
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(job,)) as pool:
            futures = [pool.submit(_attempt, unit) for unit in left.values()]
            try:
                for future in as_completed(futures):
                    report = future.result()
                    del left[report.number]
                    yield report
            except BrokenProcessPool as error:
                losses += 1
                if losses > MAX_LOSSES:
                    names = ", ".join(f"{unit.name} (group {unit.group})" for unit in list(left.values())[:workers])
                    reason = f"workers died {losses} times, at last over one of {names}"
                    raise InterruptedRunError(f"{reason}; repeat the command to go on with the rest") from error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def ray(job: Job, units: Sequence[Unit], *, workers: int, address: str | None) -> Iterator[Report]:
    """Run as actors of Ray Data on the cluster at ``address`` ("auto" finds one), else on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    core = require("ray", "ray")
    data = require("ray.data", "ray")
    begun = not core.is_initialized()
    if begun and address:
        core.init(address=address, logging_level="error", log_to_driver=False)
    elif begun:
        with _workers_import_what_we_do():
            core.init(
                num_cpus=workers, include_dashboard=False, object_store_memory=RAY_STORE, logging_level="error",
                log_to_driver=False,
            )  # fmt: skip
    data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel("ERROR")
    try:
        listed = data.from_items(
            [{"unit": row} for row in range(len(units))],
            override_num_blocks=min(len(units), BLOCKS_PER_WORKER * workers),
        )
        bound = type("EmbedWorker", (RayWorker,), {"job": job, "units": list(units)})  # restarts find what they need
        done = listed.map_batches(bound, batch_size=1, concurrency=workers, num_cpus=1)
        for row in done.iter_rows():
            yield Report.from_json(row["report"])
    finally:
        if begun:
            core.shutdown()


def dask(job: Job, units: Sequence[Unit], *, workers: int, address: str | None) -> Iterator[Report]:
    """Run as tasks of the Dask scheduler at ``address`` (``tcp://host:8786``), else of one on this machine."""
    distributed = require("distributed", "dask")
    with _dask_client(distributed, workers, address) as client:
        futures = client.map(lambda unit: _of_process(job).attempt(unit).to_json(), list(units), pure=False)
        for future in distributed.as_completed(futures):
            yield Report.from_json(future.result())


ENGINES: Mapping[str, Engine] = {"local": local, "ray": ray, "dask": dask}


class RayWorker:
    """A worker as Ray Data calls it: made once per actor, of a subclass that holds its job and units."""

    job: Job
    units: Sequence[Unit]

    def __init__(self) -> None:
        self._worker = Worker(self.job)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Do the units whose places are in the batch."""
        return {"report": [self._worker.attempt(self.units[int(row)]).to_json() for row in batch["unit"]]}


@contextmanager
def _workers_import_what_we_do() -> Iterator[None]:
    """Give processes that begin inside the block this one's places to import from, as spawned ones have them."""
    before = os.environ.get("PYTHONPATH")
    installed = (sys.prefix, sys.base_prefix)
    os.environ["PYTHONPATH"] = os.pathsep.join(one for one in sys.path if one and not one.startswith(installed))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@contextmanager
def _dask_client(distributed: Any, workers: int, address: str | None) -> Iterator[Any]:
    if address:
        with distributed.Client(address) as client:
            yield client
        return
    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs="ERROR"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def _begin(job: Job) -> None:
    """Make the worker of a process; its encoder is set up with the first unit, where a failure can be told."""
    _PROCESS[:] = [Worker(job)]


def _attempt(unit: Unit) -> Report:
    return _PROCESS[0].attempt(unit)


_PROCESS: list[Worker] = []


class _ByDigest:
    """A job that equals another one of the same digest, so that a process keeps one worker for it."""

    def __init__(self, job: Job) -> None:
        self.job, self._digest = job, f"{job.out} {job.digest}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByDigest) and other._digest == self._digest

    def __hash__(self) -> int:
        return hash(self._digest)


@lru_cache(maxsize=1)
def _kept_worker(of: _ByDigest) -> Worker:
    return Worker(of.job)


def _of_process(job: Job) -> Worker:
    """Return this process's worker for a job, made by the first task that needs it."""
    return _kept_worker(_ByDigest(job))
