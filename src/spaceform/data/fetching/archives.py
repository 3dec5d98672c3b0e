"""Reading packages where they lie: wheels, npm tarballs and Debian packages, nothing unpacked and nothing installed."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from spaceform.errors import DataUnavailableError

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60
_DAMAGED = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, ValueError)


def read_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of every regular file in a .whl, .tgz or .deb whose name is wanted, in stored order.

    Names are as in the archive, without a leading ``./``. Streams, so that memory holds one file at a time; O(archive).
    Raises ``DataUnavailableError`` naming the archive when it is damaged or of another kind.
    """
    try:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                for entry in wheel.infolist():
                    if not entry.is_dir() and wanted(entry.filename):
                        yield entry.filename, wheel.read(entry)
        else:
            with _open_tar(path) as archive:
                for member in archive:
                    name = member.name.removeprefix("./")
                    if member.isreg() and wanted(name):
                        content = archive.extractfile(member)
                        yield name, content.read() if content else b""
    except _DAMAGED as error:
        if isinstance(error, DataUnavailableError):
            raise
        raise DataUnavailableError(f"{path} can't be read as a package: {error}") from error


def read_member(path: Path, name: str) -> bytes:
    """Return the content of the one file ``name``; raises ``DataUnavailableError`` when the archive lacks it."""
    for _, content in read_members(path, lambda entry: entry == name):
        return content
    raise DataUnavailableError(f"{path} holds no file {name}")


def contents_digest(path: Path, below: str) -> str:
    """Return one SHA-256 over the names and contents of the files at or below ``below``: blind to dates and packing."""
    whole = hashlib.sha256()
    found = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in read_members(path, lambda entry: entry == below or entry.startswith(f"{below}/"))
    }
    for name in sorted(found):
        whole.update(f"{found[name]}  {name}\n".encode())
    return whole.hexdigest()


@contextmanager
def _open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    with path.open("rb") as handle:
        if path.suffix != ".deb":
            with tarfile.open(fileobj=handle, mode="r|gz") as archive:
                yield archive
            return
        name, payload = _debian_payload(handle)
        with tarfile.open(fileobj=_decompress(name, payload), mode="r|") as archive:
            yield archive


def _debian_payload(handle: IO[bytes]) -> tuple[str, bytes]:
    """Return name and bytes of ``data.tar.*``: a .deb is an ``ar`` archive of three members (deb(5), ar(5))."""
    if handle.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise ValueError("it is no Debian package (the ar signature is missing)")
    while header := handle.read(_AR_HEADER):
        if len(header) < _AR_HEADER or not header.endswith(b"`\n"):
            raise ValueError("it ends inside an ar header")
        name, size = header[:16].decode("ascii").rstrip(" /"), int(header[48:58])
        if name.startswith("data.tar"):
            payload = handle.read(size)
            if len(payload) < size:
                raise ValueError(f"{name} is cut off")
            return name, payload
        handle.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("it holds no data.tar")


def _decompress(name: str, payload: bytes) -> Any:
    raw = io.BytesIO(payload)
    if name.endswith(".xz"):
        import lzma

        return lzma.open(raw)
    if name.endswith(".gz"):
        import gzip

        return gzip.open(raw)
    if name.endswith(".zst"):  # what some distributions pack with; Python reads it only from 3.14 on, Arrow always
        import pyarrow as pa

        return pa.CompressedInputStream(pa.BufferReader(payload), "zstd")
    return raw
