"""The user's cache: where it is, whole files or none, one writer at a time, results stored with their hash."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spaceform.errors import DataUnavailableError
from spaceform.files import CACHE_VARIABLE, cache_root, wait_for_lock

Arrays = dict[str, NDArray]


def cache_folder(name: str) -> Path:
    """Return the sub-folder ``name`` of the cache, created; ``DataUnavailableError`` where that is not allowed."""
    folder = cache_root() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold the cache's lock ``name``; a second process or thread waits here until the first is done or has died.

    The operating system drops the lock with its holder, so a killed process leaves nothing to clean up.
    """
    path = cache_folder("locks") / f"{name}.lock"
    try:
        handle = path.open("a+b")
    except OSError as error:
        raise _unwritable(path, error) from error
    with handle:
        handle.seek(0)
        wait_for_lock(handle.fileno())
        yield


@contextmanager
def scratch(folder: Path, name: str) -> Iterator[Path]:
    """Yield a fresh temporary folder beside the file ``name`` of ``folder``; what a killed run left there is removed.

    Call it inside ``exclusive``: everything called ``.<name>.partial-*`` is taken for a dead run's.
    """
    prefix = f".{name}.partial-"
    for stale in folder.glob(f"{prefix}*"):
        shutil.rmtree(stale, ignore_errors=True)
    try:
        temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def is_remembered(name: str, recipe: Mapping[str, object]) -> bool:
    """Whether ``remembered`` has stored this name and recipe before (it verifies the file only when it reads it)."""
    return _remembered_path(name, recipe).is_file()


def remembered(name: str, recipe: Mapping[str, object], build: Callable[[], Arrays]) -> Arrays:
    """Return the arrays that ``build`` makes, from the cache where they are already there and unharmed.

    ``recipe`` is everything the result depends on (hashes of the sources, options, the version of the code's recipe);
    another recipe is another file. Stored as ``.npz`` without pickle beside its SHA-256; a file that does not match
    it (damaged, or written half) is built again. One process builds, others wait for it.
    """
    path = _remembered_path(name, recipe)
    found = _read_verified(path)
    if found is None:
        with exclusive(path.stem):
            found = _read_verified(path)
            if found is None:
                found = build()
                _write_verified(path, found)
    return found


def _remembered_path(name: str, recipe: Mapping[str, object]) -> Path:
    text = "\n".join(f"{key}={recipe[key]!r}" for key in sorted(recipe))
    return cache_folder("processed") / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"


def _read_verified(path: Path) -> Arrays | None:
    try:
        content, expected = path.read_bytes(), _digest_file(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    if hashlib.sha256(content).hexdigest() != expected:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except (ValueError, zipfile.BadZipFile):  # pragma: no cover - a matching hash over a file we did not write
        return None


def _write_verified(path: Path, arrays: Arrays) -> None:
    try:
        with scratch(path.parent, path.name) as temporary:
            whole = temporary / path.name
            with whole.open("wb") as handle:
                np.savez(handle, allow_pickle=False, **arrays)
            digest = temporary / "digest"
            digest.write_text(sha256(whole), encoding="ascii")
            # Killed between these two, the old or absent data does not match the new digest and is built again.
            digest.replace(_digest_file(path))
            whole.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _unwritable(path: Path, error: OSError) -> DataUnavailableError:
    return DataUnavailableError(
        f"the cache can't be written: {path}: {error.strerror or error}; "
        f"make room or give it rights, or name another folder in the environment variable {CACHE_VARIABLE}"
    )
