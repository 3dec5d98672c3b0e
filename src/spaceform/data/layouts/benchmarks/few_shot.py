"""Benchmarks of few-shot classification, whose splits are splits of classes."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from spaceform.checks import check_integer
from spaceform.data.dataset import Dataset
from spaceform.data.layouts.benchmarks.cifar import load_cifar100
from spaceform.data.layouts.benchmarks.text_files import bad_line, benchmark_file
from spaceform.data.layouts.images import read_image_folder, read_picture
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

SPLITS = ("train", "val", "test")

OMNIGLOT = {"background": "images_background", "evaluation": "images_evaluation"}

_FC100 = {"val": (8, 11, 13, 16), "test": (0, 7, 12, 14)}
"""Superclasses of CIFAR-100 by number, in the order of their names; the other twelve are for training."""


def load_mini_imagenet(root: PathLike, *, size: int = 84, progress: Progress = no_progress) -> Dataset:
    """Read miniImageNet: X (60000, size, size, 3) uint8, y = class (100), attributes ``split`` and ``file``.

    ``root`` holds ``train.csv``, ``val.csv`` and ``test.csv`` with the columns ``filename,label`` (Ravi and Larochelle,
    2017: 64, 16 and 20 classes) and the pictures, in ``images/``, in a folder per class, or beside the lists. A missing
    list is passed over if another one is there. Raises ``InputError`` for none, another header, a class in two splits,
    and pictures that are missing or can't be read.
    """
    folder, size = existing(root, "root"), check_integer(size, "size", low=1, high=4096)
    rows = [(split, *row) for split in SPLITS if (folder / f"{split}.csv").is_file() for row in _listed(folder, split)]
    if not rows:
        raise InputError("root", got=f"{shown(folder)} without lists", expected="train.csv, val.csv or test.csv")
    split_of: dict[str, str] = {}
    for split, _, label in rows:
        if split_of.setdefault(label, split) != split:
            raise InputError(shown(folder), got=f"class {label} in {split_of[label]} and {split}", expected="one split")
    X = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    for done, (_, name, label) in enumerate(rows):
        if done % 200 == 0:
            progress("read mini-imagenet", done, len(rows))
        X[done] = read_picture(_place(folder, name, label), size=size)
    progress("read mini-imagenet", len(rows), len(rows))
    classes = sorted(split_of)
    number = {label: index for index, label in enumerate(classes)}
    y = np.array([number[label] for _, _, label in rows], dtype=np.int64)
    attributes = {"split": np.array([row[0] for row in rows]), "file": np.array([row[1] for row in rows])}
    return Dataset("mini-imagenet", X, y, classes, attributes, "ImageNet terms (research)", str(root))


def load_omniglot(root: PathLike, *, size: int = 28, progress: Progress = no_progress) -> Dataset:
    """Read ``<root>/images_{background,evaluation}/<alphabet>/<character>/*.png``: X (n, size, size) uint8.

    White ink on black, as the other letters here (the files have it the other way round); y = character ("alphabet /
    character", 1,623 in all), attributes ``split`` ("background" or "evaluation"), ``alphabet`` and ``file``. Raises
    ``InputError`` when one of the two folders is missing, and as ``read_image_folder``.
    """
    folder, size = existing(root, "root"), check_integer(size, "size", low=1, high=4096)
    pictures, splits, files = [], [], []
    for split, name in OMNIGLOT.items():
        if not (folder / name).is_dir():
            raise InputError("root", got=f"{shown(folder)} without {name}", expected="both folders of Omniglot")
        found = read_image_folder(folder / name, size=size, progress=progress)
        assert found.images is not None  # noqa: S101  # what a folder of pictures gives
        pictures.append(255 - found.images[..., 0])
        splits += [split] * len(found)
        files += [str(file) for file in found.attributes["file"]]
    places = [file.split("/") for file in files]
    short = next((file for file, place in zip(files, places, strict=True) if len(place) != 3), None)
    if short is not None:
        raise InputError("root", got=short, expected="<alphabet>/<character>/<picture>")
    named = [f"{place[0]} / {place[1]}" for place in places]
    classes, y = np.unique(named, return_inverse=True)
    attributes = {name: np.array(column) for name, column in (("split", splits), ("file", files))}
    attributes["alphabet"] = np.array([place[0] for place in places])
    return Dataset(
        "omniglot", np.concatenate(pictures), y.astype(np.int64), classes.tolist(), attributes, "MIT", str(root)
    )


def load_fc100(root: PathLike, *, progress: Progress = no_progress) -> Dataset:
    """Read FC100 (Oreshkin and others, 2018): CIFAR-100 with 60, 20 and 20 classes for training, validation and test.

    ``root`` is that of ``cifar-100``, the binary version; the pickles in which FC100 is passed around are never read.
    Attributes ``split``, and ``superclass``, none of which is in two splits.
    """
    found = load_cifar100(root, progress=progress)
    superclasses = np.unique(np.asarray(found.attributes["superclass"]))
    split = np.full(len(found), "train", dtype="<U5")
    for name, numbers in _FC100.items():
        split[np.isin(found.attributes["superclass"], superclasses[list(numbers)])] = name
    return replace(found, name="fc100", attributes={"split": split, "superclass": found.attributes["superclass"]})


def _listed(folder: Path, split: str) -> list[tuple[str, str]]:
    path = benchmark_file(folder, f"{split}.csv", f"{split}.csv")
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        if next(lines, None) != ["filename", "label"]:
            raise InputError(shown(path), got="another header", expected="filename,label")
        rows = []
        for number, line in enumerate(lines, 2):
            if len(line) != 2 or not all(line) or any(".." in part or "/" in part for part in line):
                raise bad_line(path, number, ",".join(line), expected="a file name and a class")
            rows.append((line[0], line[1]))
    return rows


def _place(folder: Path, name: str, label: str) -> Path:
    for place in (folder / "images" / name, folder / label / name, folder / "images" / label / name, folder / name):
        if place.is_file():
            return place
    raise InputError(shown(folder), got=f"no picture {name}", expected=f"it in images/, {label}/ or beside the lists")
