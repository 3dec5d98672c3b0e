"""The same classes in several domains: Office-Home, DomainNet, or folders of your own laid out so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.checks import check_choice
from spaceform.data.dataset import Dataset
from spaceform.data.layouts.benchmarks.text_files import bad_line, benchmark_file, text_lines
from spaceform.data.layouts.images import read_image_folder, read_picture
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

RESEARCH = "for research (see the benchmark's page)"
SPLITS = ("train", "test")


def load_office_home(
    root: PathLike, *, domains: Sequence[str] | None = None, size: int = 84, progress: Progress = no_progress
) -> Dataset:
    """Read ``<root>/<Domain>/<Class>/*.jpg``: X (n, size, size, 3) uint8, y = class, attributes ``domain``, ``file``.

    Office-Home has 15,588 pictures of 65 classes in "Art", "Clipart", "Product" and "Real World"; any folders laid out
    so will do, and a class is one in all domains that name it alike. ``domains``: some of the folders (None: all).
    Raises ``InputError`` for domains that are not there, pictures outside class folders or that can't be read.
    """
    place, names, rows = existing(root, "root"), [], []
    for domain in _domains(place, domains):
        found = read_image_folder(place / domain, size=size, progress=progress)
        classes = found.attributes.get("class", [None])
        if any(name is None for name in classes) or found.images is None:
            raise InputError(
                "root", got=f"{shown(place / domain)}, pictures outside class folders", expected="<Class>/*"
            )
        files = [f"{domain}/{file}" for file in found.attributes["file"]]
        names += list(zip([domain] * len(files), classes, files, strict=True))
        rows.append(found.images)
    return _dataset("office-home", np.concatenate(rows), names, place)


def load_domainnet(
    root: PathLike,
    *,
    domains: Sequence[str] | None = None,
    split: str | None = None,
    size: int = 84,
    progress: Progress = no_progress,
) -> Dataset:
    """Read DomainNet: ``<root>/<domain>/<class>/*`` as ``<root>/<domain>_train.txt`` and ``_test.txt`` list it.

    A line of a list is "path label" with the path below ``root``. X (n, size, size, 3) uint8, y = class, attributes
    ``domain``, ``file``. ``domains``: some of "clipart", "infograph", "painting", "quickdraw", "real", "sketch" (None:
    all that have lists); ``split`` "train" or "test" (None: both). Raises ``InputError`` for missing lists, the line
    that has another form, labels that disagree with folders, and pictures that can't be read.
    """
    place = existing(root, "root")
    wanted = SPLITS if split is None else (check_choice(split, "split", SPLITS),)
    if domains is None:
        domains = sorted(
            {path.name.removesuffix(f"_{part}.txt") for part in SPLITS for path in place.glob(f"*_{part}.txt")}
        )
    listed = [
        entry for domain in _named(domains) for part in wanted for entry in _listed(place, f"{domain}_{part}.txt")
    ]
    if not listed:
        raise InputError(
            "root", got=f"{shown(place)} without a listed picture", expected="<domain>_train.txt and _test.txt"
        )
    pictures = np.empty((len(listed), size, size, 3), dtype=np.uint8)
    for row, (_, _, file) in enumerate(listed):
        pictures[row] = read_picture(place / file, size=size)
        if row % 100 == 0:
            progress("read pictures", row, len(listed))
    progress("read pictures", len(listed), len(listed))
    return _dataset("domainnet", pictures, listed, place)


def _listed(root: Path, name: str) -> list[tuple[str, str, str]]:
    """Return (domain, class, file) of each line of a list."""
    path = benchmark_file(root, name)
    entries, numbers = [], dict[str, str]()
    for line_number, line in text_lines(path):
        if not line.strip():
            continue
        file, _, label = line.strip().rpartition(" ")
        parts = Path(file).parts
        if len(parts) != 3 or ".." in parts or not label.isdecimal():
            raise bad_line(path, line_number, line, expected="'domain/class/picture label'")
        if numbers.setdefault(parts[1], label) != label:
            raise bad_line(path, line_number, line, expected=f"label {numbers[parts[1]]}, as above for {parts[1]}")
        entries.append((parts[0], parts[1], file))
    return entries


def _domains(root: Path, domains: Sequence[str] | None) -> list[str]:
    there = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    chosen = there if domains is None else _named(domains)
    for domain in chosen:
        check_choice(domain, "domains", there)
    if not chosen:
        raise InputError("root", got=f"{shown(root)} without folders", expected="a folder per domain")
    return chosen


def _named(domains: Sequence[str]) -> list[str]:
    if isinstance(domains, str):
        raise InputError("domains", got=repr(domains), expected="a list of names")
    return list(dict.fromkeys(domains))


def _dataset(name: str, X: np.ndarray, rows: Sequence[tuple[str, str, str]], root: Path) -> Dataset:
    domains, labels, files = zip(*rows, strict=True)
    classes, y = np.unique(labels, return_inverse=True)
    attributes: dict[str, Any] = {"domain": np.array(domains), "file": list(files)}
    return Dataset(name, X, y.astype(np.int64), classes.tolist(), attributes, RESEARCH, str(root))
