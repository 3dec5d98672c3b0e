"""The fine-grained sets of the Semantic Shift Benchmark: birds, cars and aircraft, with their known classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spaceform.checks import check_integer
from spaceform.data.dataset import Dataset
from spaceform.data.layouts.benchmarks.discovery.plain_pickle import read_plain_pickle
from spaceform.data.layouts.images import read_picture
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

Row = tuple[str, str, str]
"""Path below the root, class, and split."""

SPLITS = ("ssb_splits.json", "*_osr_splits.pkl")
KNOWN = "known"


def load_fine_grained(root: PathLike, *, size: int = 224, progress: Progress = no_progress) -> Dataset:
    """Read CUB-200-2011, Stanford Cars or FGVC-Aircraft from ``root``, whichever lies there.

    Gives X (n, size, size, 3) uint8, proportions kept, on white; y = class; attributes ``file``, ``split`` ("train",
    "test"), ``known`` (whether the class is an old one) and ``part`` ("known", or the part of the benchmark to which a
    new class belongs, such as "Easy", "Medium" and "Hard"). ``root`` (or a folder in it) holds

    - ``images.txt``, ``image_class_labels.txt``, ``train_test_split.txt`` and ``images/`` (CUB_200_2011);
    - ``devkit/cars_{train_annos,test_annos_withlabels}.mat`` beside ``cars_train/`` and ``cars_test/``;
    - ``data/images_variant_{trainval,test}.txt`` and ``data/images/`` (fgvc-aircraft-2013b);

    and, beside them, the benchmark's split as it is published, ``<name>_osr_splits.pkl``, or the same as
    ``ssb_splits.json``: ``{"known_classes": [...], "unknown_classes": {"Easy": [...], ...}}`` with class numbers from 0
    in the sorted order of classes. Of the pickle plain values are read, and no code is run
    (:func:`~spaceform.data.layouts.benchmarks.discovery.plain_pickle.read_plain_pickle`). Without either the first half
    of the classes is old. ``draw_category_discovery(y, known=...)`` makes the protocol of it.

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


def _parts(base: Path, n_classes: int) -> list[str]:
    """Return the part of every class, "known" for the old ones."""
    places = [found for place in (base, base.parent) for name in SPLITS for found in sorted(place.glob(name))]
    if not places:
        return [KNOWN if number < n_classes // 2 else "unknown" for number in range(n_classes)]
    place = places[0]
    try:
        text = place.suffix == ".json"
        split: dict[str, Any] = json.loads(place.read_text(encoding="utf-8")) if text else read_plain_pickle(place)
        parts = {KNOWN: split["known_classes"], **split["unknown_classes"]}
        named = [(int(number), str(part)) for part, numbers in parts.items() for number in numbers]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            shown(place), got=f"{type(error).__name__}: {error}", expected="the benchmark's split"
        ) from error
    if not len(split["known_classes"]) or sorted(number for number, _ in named) != list(range(n_classes)):
        got = f"{len(named)} classes, {len(split['known_classes'])} of them known"
        raise InputError(shown(place), got=got, expected=f"each of the {n_classes} classes, from 0, in one part")
    return [part for _, part in sorted(named)]


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
    parts = np.array(_parts(base, len(classes)))[y]
    attributes: dict[str, Any] = {
        "file": [file for file, _, _ in rows],
        "split": [split for _, _, split in rows],
        "known": parts == KNOWN,
        "part": parts.tolist(),
    }
    return Dataset(name, pictures, y.astype(np.int64), classes.tolist(), attributes, "research", str(base))
