"""Small networks train on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread inside the block, and as many as before after it.

    Layers of a few hundred units are done in microseconds; a second thread costs more to wake than it brings, and on
    a machine that is busy otherwise the two wait for each other (fifty times slower was seen). The number of threads
    belongs to the process, so other threads of it are slowed, too, while the block lasts.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
