"""The folder that a verb writes: found out to be writable before minutes of work, not after."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spaceform.errors import InputError


@contextmanager
def writable_folder(folder: Path) -> Iterator[Path]:
    """Make the folder and try to write there; leave none behind that is empty. ``InputError`` when it can't be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError("out", got=f"{folder} ({error.strerror})", expected="a folder that can be made") from error
    try:
        yield folder
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()
