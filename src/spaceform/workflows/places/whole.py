"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO
from uuid import uuid4

PARTIAL = ".partial-"
"""What the name of a file has while it is being written."""


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file under another name, flush it to the disk and rename it: it is there whole or not at all.

    Two processes that write the same file do not meet; the later one's stays.
    """
    temporary = path.with_name(f".{path.name}{PARTIAL}{uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_partial(folder: Path) -> None:
    """Remove what killed processes left half-written in ``folder``."""
    for path in folder.glob(f".*{PARTIAL}*"):
        path.unlink(missing_ok=True)
