"""A folder in which one process at a time works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spaceform.errors import InputError
from spaceform.files import take_lock

LOCK = ".embed.lock"


@contextmanager
def sole_driver(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system drops with the process; ``InputError`` when another one holds it."""
    with (folder / LOCK).open("ab") as handle:
        if not take_lock(handle.fileno()):
            got = f"{folder}, where another process is embedding"
            raise InputError("out", got=got, expected="one process at a time")
        yield
