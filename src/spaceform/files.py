"""Files that are there whole or not at all, the lock of a process that is alone with one, and where the cache is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO
from uuid import uuid4

if sys.platform == "win32":  # pragma: no cover
    import msvcrt
else:
    import fcntl

CACHE_VARIABLE = "SPACEFORM_CACHE"
"""Environment variable that moves the cache."""

PARTIAL = ".partial-"
"""What the name of a file has while it is being written."""


def cache_root() -> Path:
    """Return the cache folder: ``$SPACEFORM_CACHE``, or the user's cache directory of this platform. Not created."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("spaceform", appauthor=False))


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file under another name, flush it to the disk and rename it: it is there whole or not at all.

    Its folder is made where it is missing. Two processes that write the same file do not meet; the later one's stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}{PARTIAL}{uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


def write_text_whole(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 by `write_whole`, with line ends as they are."""
    write_whole(path, lambda file: file.write(text.encode()))


def remove_partial(folder: Path) -> None:
    """Remove what killed processes left half-written in ``folder``."""
    for path in folder.glob(f".*{PARTIAL}*"):
        path.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def take_lock(handle: int) -> bool:
    """Take the lock of an open file or folder; False when another one holds it.

    ``handle`` is its descriptor; the system drops the lock when that is closed or the process dies. True also where no
    other holder can be seen: on Windows, and on a file system without locks, one process at a time is the caller's
    affair.
    """
    if sys.platform == "win32":  # pragma: no cover
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def wait_for_lock(handle: int) -> None:
    """Take the lock of an open file, and wait for it as long as another one holds it. Raises ``OSError`` without locks.

    On Windows the file's position must be its start.
    """
    if sys.platform == "win32":  # pragma: no cover
        while True:
            try:
                msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
            except OSError:  # it gives up after ten seconds; the holder may need minutes
                continue
            return
    else:
        fcntl.flock(handle, fcntl.LOCK_EX)
