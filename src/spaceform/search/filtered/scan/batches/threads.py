"""Work shared by threads that stay: to start one takes longer than many answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache


def share(work: Callable[[int, int, int], None], n: int, parts: int) -> None:
    """Call ``work(part, first, last)`` for so many ranges of ``n``, equally long, at the same time.

    The last runs in the thread that calls; the first exception is raised when all have ended.
    """
    edges = [part * n // parts for part in range(parts + 1)]
    if parts == 1:
        return work(0, 0, n)
    others = [_pool(parts - 1).submit(work, part, edges[part], edges[part + 1]) for part in range(parts - 1)]
    try:
        work(parts - 1, edges[-2], n)
    finally:
        failures = [one.exception() for one in others]
    for failure in failures:
        if failure is not None:
            raise failure
    return None


@cache
def _pool(size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, thread_name_prefix="search")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not follow into the child
