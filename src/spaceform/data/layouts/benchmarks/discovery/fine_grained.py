"""The fine-grained sets of the Semantic Shift Benchmark: birds, cars and aircraft, with their known classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.checks import check_integer
from spaceform.data.dataset import Dataset
from spaceform.data.layouts.images import read_picture
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

Row = tuple[str, str, str]
"""Path below the root, class, and split."""

SPLITS = "ssb_splits.json"


def load_fine_grained(root: PathLike, *, size: int = 224, progress: Progress = no_progress) -> Dataset:
    """Read CUB-200-2011, Stanford Cars or FGVC-Aircraft from ``root``, whichever lies there.

    Gives X (n, size, size, 3) uint8, proportions kept, on white; y = class; attributes ``file``, ``split`` ("train",
    "test") and ``known`` (whether the class is an old one). ``root`` (or a folder in it) holds

    - ``images.txt``, ``image_class_labels.txt``, ``train_test_split.txt`` and ``images/`` (CUB_200_2011);
    - ``devkit/cars_{train_annos,test_annos_withlabels}.mat`` beside ``cars_train/`` and ``cars_test/``;
    - ``data/images_variant_{trainval,test}.txt`` and ``data/images/`` (fgvc-aircraft-2013b);

    and, beside them, ``ssb_splits.json``: ``{"known_classes": [...], "unknown_classes": {"Easy": [...], ...}}`` with
    class numbers from 0 in the sorted order of classes. The benchmark ships it as a pickle, which can run code and is
    never read: write its content as JSON once. Without the file the first half of the classes is old.

    Raises ``InputError`` for a folder with none of them, lines of another form, splits that do not fit the classes, and
    pictures that can't be read. O(pixels).
    """
    place, size = existing(root, "root"), check_integer(size, "size", low=1, high=4096)
    for name, (mark, read) in _LAYOUTS.items():
        for base in (place, *sorted(child for child in place.glob("*") if child.is_dir())):
            if (base / mark).exists():
                return _dataset(name, base, read(base), size, progress)
    raise InputError("root", got=shown(place), expected="one of " + ", ".join(mark for mark, _ in _LAYOUTS.values()))


def _birds(base: Path) -> list[Row]:
    files, classes, parts = (
        dict(_pairs(base / name)) for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt")
    )
    if files.keys() != classes.keys() or files.keys() != parts.keys():
        raise InputError("root", got=f"{shown(base)} with lists of other images", expected="one line per image in each")
    return [
        (f"images/{files[key]}", f"{int(classes[key]):03d}", "train" if parts[key] == "1" else "test") for key in files
    ]


def _cars(base: Path) -> list[Row]:
    from scipy.io import loadmat

    rows = []
    for split, listing in (("train", "cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        found = np.atleast_1d(loadmat(base / "devkit" / listing, squeeze_me=True)["annotations"])
        numbers = found["class"].astype(int).tolist()
        rows += [
            (f"cars_{split}/{file}", f"{number:03d}", split)
            for file, number in zip(found["fname"], numbers, strict=True)
        ]
    return rows


def _aircraft(base: Path) -> list[Row]:
    rows = []
    for split, listing in (("train", "images_variant_trainval.txt"), ("test", "images_variant_test.txt")):
        pairs = _pairs(base / "data" / listing)
        rows += [(f"data/images/{number}.jpg", variant, split) for number, variant in pairs]
    return rows


_LAYOUTS: dict[str, tuple[str, Callable[[Path], list[Row]]]] = {
    "cub-200-2011": ("train_test_split.txt", _birds),
    "stanford-cars": ("devkit/cars_train_annos.mat", _cars),
    "fgvc-aircraft": ("data/images_variant_trainval.txt", _aircraft),
}


def _pairs(file: Path) -> list[tuple[str, str]]:
    """Return the first word and the rest of every line."""
    if not file.is_file():
        raise InputError("root", got=f"no file {shown(file)}", expected="the lists of the benchmark")
    pairs = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        key, _, value = line.strip().partition(" ")
        if key and not value:
            raise InputError(f"{file.name}, line {number}", got=line, expected="two columns")
        if key:
            pairs.append((key, value.strip()))
    return pairs


def _known(base: Path, n_classes: int) -> list[int]:
    """Return the numbers of the old classes."""
    for place in (base / SPLITS, base.parent / SPLITS):
        if place.is_file():
            break
    else:
        return list(range(n_classes // 2))
    try:
        split: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        old = [int(number) for number in split["known_classes"]]
        new = [int(number) for part in split["unknown_classes"].values() for number in part]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(shown(place), got=f"{type(error).__name__}: {error}", expected="the splits as JSON") from error
    if not old or sorted(set(old) | set(new)) != list(range(n_classes)) or set(old) & set(new):
        got = f"{len(old)} known and {len(new)} unknown classes"
        raise InputError(shown(place), got=got, expected=f"each of the {n_classes} classes, from 0, in one part")
    return old


def _dataset(name: str, base: Path, rows: list[Row], size: int, progress: Progress) -> Dataset:
    if not rows:
        raise InputError("root", got=f"{shown(base)} without pictures", expected=f"the pictures of {name}")
    pictures = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    for done, (file, _, _) in enumerate(rows):
        if done % 50 == 0:
            progress("read pictures", done, len(rows))
        pictures[done] = read_picture(base / file, size=size)
    progress("read pictures", len(rows), len(rows))
    classes, y = np.unique([one for _, one, _ in rows], return_inverse=True)
    attributes: dict[str, Any] = {
        "file": [file for file, _, _ in rows],
        "split": [split for _, _, split in rows],
        "known": np.isin(y, _known(base, len(classes))),
    }
    return Dataset(name, pictures, y.astype(np.int64), classes.tolist(), attributes, "research", str(base))
