"""The package index of Debian: one line of text per package, and attributes that were made for filtering."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from spaceform.data.dataset import Dataset
from spaceform.data.fetching.cache import remembered
from spaceform.errors import DataUnavailableError, InputError
from spaceform.types import PathLike, Progress, no_progress

_RECIPE = 1
_TEXTS = ("Package", "Description", "Section", "Priority", "Architecture", "Maintainer")
_NUMBERS = ("Installed-Size", "Size")
_LISTS = ("Tag", "Depends")
_NAME = re.compile(r"[^\s(|:]+")
_GROUP = re.compile(r"\{([^}]*)\}")


def load_debian(root: PathLike | None = None, *, progress: Progress = no_progress) -> Dataset:
    """Return X (n,) object of "package: synopsis", about 63,700 of them; y = one of some 58 sections.

    Attributes: ``package``, ``section`` (without its area, as in "non-free/games"), ``priority``, ``architecture``,
    ``maintainer`` texts; ``installed_size`` (KiB) and ``size`` (bytes) int64, -1 where not told; ``n_depends`` int64;
    ``tags`` (debtags, as in "role::program") and ``depends`` (names; the first of alternatives) tuples of texts.
    Of a package in several versions the last one stands.

    ``root``: a ``Packages`` file of an archive (uncompressed), or a folder that holds one; None asks this machine's
    ``apt-cache dumpavail``, whose answer depends on the release and on the day: compare figures on one index only.
    Raises ``DataUnavailableError`` without apt or without package lists, ``InputError`` for a file of something else.
    Parsing takes a few seconds once; O(n) memory, 60 MB.
    """
    content = _asked() if root is None else _file(Path(root)).read_bytes()

    def build() -> dict[str, np.ndarray]:
        progress("read the package index", 0, 1)
        rows = list({row["Package"]: row for row in _paragraphs(content.decode("utf-8", errors="replace"))}.values())
        progress("read the package index", 1, 1)
        return {"rows": np.frombuffer(json.dumps(rows).encode(), np.uint8)}

    digest = hashlib.sha256(content).hexdigest()
    rows = json.loads(remembered("debian", {"recipe": _RECIPE, "source": digest}, build)["rows"].tobytes())
    if not rows:
        raise InputError("root", got="no packages", expected="a Packages file of a Debian archive")
    return _dataset(rows, f"Debian package index, SHA-256 {digest[:16]}")


def _dataset(rows: Sequence[dict[str, str]], source: str) -> Dataset:
    sections = [row.get("Section", "unknown").rpartition("/")[2] for row in rows]
    classes = sorted(set(sections))
    number = {name: place for place, name in enumerate(classes)}
    depends = [names(row.get("Depends", "")) for row in rows]
    return Dataset(
        "debian",
        np.array([f"{row['Package']}: {row.get('Description', '')}" for row in rows], dtype=object),
        np.array([number[section] for section in sections], dtype=np.int64),
        classes,
        {
            "package": [row["Package"] for row in rows],
            "section": sections,
            "priority": [row.get("Priority", "") for row in rows],
            "architecture": [row.get("Architecture", "") for row in rows],
            "maintainer": [row.get("Maintainer", "") for row in rows],
            "installed_size": np.array([int(row.get("Installed-Size", -1)) for row in rows], dtype=np.int64),
            "size": np.array([int(row.get("Size", -1)) for row in rows], dtype=np.int64),
            "n_depends": np.array([len(some) for some in depends], dtype=np.int64),
            "tags": [tags(row.get("Tag", "")) for row in rows],
            "depends": depends,
        },
        "the packages' own; descriptions as Debian distributes them",
        source,
    )


def names(depends: str) -> tuple[str, ...]:
    """Return the packages that a dependency field names, each once, in order; of alternatives the first.

    >>> names("libc6 (>= 2.34), default-mta | mail-transport-agent, python3:any")
    ('libc6', 'default-mta', 'python3')
    """
    found = (_NAME.match(part.strip()) for part in depends.split(","))
    return tuple(dict.fromkeys(match.group() for match in found if match))


def tags(field: str) -> tuple[str, ...]:
    """Return the tags of a field, in which "use::{edit,view}" stands for two.

    >>> tags("role::program, use::{edit,view}")
    ('role::program', 'use::edit', 'use::view')
    """
    listed: list[str] = []
    for part in (piece.strip() for piece in re.split(r",(?![^{]*\})", field)):
        group = _GROUP.search(part)
        listed += [part.replace(group.group(), one.strip()) for one in group[1].split(",")] if group else [part]
    return tuple(dict.fromkeys(tag for tag in listed if tag))


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Yield the wanted fields of each package; a line that starts with a space goes on with the field before."""
    for paragraph in text.split("\n\n"):
        fields: dict[str, str] = {}
        key = ""
        for line in paragraph.split("\n"):
            if line[:1] in {" ", "\t"}:
                if key in _LISTS:  # the long text of a description is not the synopsis
                    fields[key] += line
                continue
            key, _, value = line.partition(":")
            if key in _TEXTS or key in _NUMBERS or key in _LISTS:
                fields[key] = value.strip()
        if "Package" in fields:
            yield fields


def _asked() -> bytes:
    command = shutil.which("apt-cache")
    if command is None:
        raise DataUnavailableError(
            "this system has no apt-cache; get a Packages file of a Debian archive and name it: "
            "load('debian', root='Packages')"
        )
    done = subprocess.run([command, "dumpavail"], capture_output=True, check=False)  # noqa: S603 - a fixed command
    if done.returncode or not done.stdout.strip():
        raise DataUnavailableError(
            f"apt-cache dumpavail gave no packages ({done.stderr.decode(errors='replace').strip()[:200]}); "
            "run `apt-get update`, or name a Packages file: load('debian', root='Packages')"
        )
    return done.stdout


def _file(root: Path) -> Path:
    path = root / "Packages" if root.is_dir() else root
    if not path.is_file():
        raise InputError("root", got=str(root), expected="a Packages file, or a folder that holds one")
    return path
