"""Threads for questions: a bound on how many, a bound on how long, and an end when nobody waits any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

from spaceform.errors import SpaceformError

T = TypeVar("T")
Check = Callable[[], None]

_LOOK = 0.1
"""Seconds between two looks at whether the one who asked is still there."""


class BusyError(SpaceformError):
    """All threads are at work and the queue is full."""


class LateError(SpaceformError):
    """A question took longer than it may."""


class GoneError(SpaceformError):
    """The one who asked has hung up."""


class Slots:
    """Runs work in at most ``workers`` threads; ``waiting`` more pieces may queue, any beyond are refused.

    Work is given a check to call between its steps: it raises once the time is over or the asker has gone, so that
    the thread is free again. Work that has not begun by then never begins.
    """

    def __init__(self, *, workers: int, waiting: int, seconds: float) -> None:
        """Make the threads; they start when they are needed."""
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="question")
        self._bound, self._seconds = workers + waiting, seconds
        self._held, self._counting = 0, threading.Lock()

    @property
    def held(self) -> int:
        """Questions at work and in the queue."""
        return self._held

    async def run(self, work: Callable[[Check], T], *, gone: Callable[[], Awaitable[bool]]) -> T:
        """Return what ``work`` returns.

        ``gone`` tells whether the asker has hung up. Raises ``BusyError`` at once, ``LateError`` and ``GoneError``
        when it is so, and what ``work`` raises.
        """
        with self._counting:
            if self._held >= self._bound:
                raise BusyError(f"{self._held} questions at once are all that this server takes")
            self._held += 1
        stop, deadline = threading.Event(), monotonic() + self._seconds

        def check() -> None:
            if stop.is_set() or monotonic() > deadline:
                raise LateError(self._too_long())

        def begun() -> T:
            check()
            return work(check)

        try:
            future = self._pool.submit(begun)
        except BaseException:
            self._release(None)
            raise
        future.add_done_callback(self._release)
        try:
            return await self._awaited(asyncio.wrap_future(future), deadline, gone)
        finally:
            stop.set()
            future.cancel()

    async def _awaited(self, answer: asyncio.Future[T], deadline: float, gone: Callable[[], Awaitable[bool]]) -> T:
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # late faults are nobody's
        while True:
            left = deadline - monotonic()
            done, _ = await asyncio.wait({answer}, timeout=max(0.0, min(_LOOK, left)))
            if done:
                return answer.result()
            if left <= 0:
                raise LateError(self._too_long())
            if await gone():
                raise GoneError("the asker has hung up")

    def close(self) -> None:
        """Begin nothing more; what runs ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _release(self, _: Future[T] | None) -> None:
        with self._counting:
            self._held -= 1

    def _too_long(self) -> str:
        return f"the question took longer than {self._seconds:g} s, its limit"
