"""A folder in which one process at a time works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spaceform.errors import InputError

LOCK = ".embed.lock"


@contextmanager
def sole_driver(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system drops with the process; ``InputError`` when another one holds it."""
    with (folder / LOCK).open("ab") as handle:
        try:
            import fcntl
        except ImportError:  # Windows: one driver at a time is the caller's affair
            yield
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            got = f"{folder}, where another process is embedding"
            raise InputError("out", got=got, expected="one process at a time") from error
        except OSError:  # a file system without locks: no other process can be seen on it
            pass
        yield
