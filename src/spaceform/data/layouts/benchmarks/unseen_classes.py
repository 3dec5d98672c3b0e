"""The four benchmarks of metric learning: half of the classes to train on, the other half to be searched in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from spaceform.data.dataset import Dataset
from spaceform.data.layouts.images import read_picture
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

Row = tuple[str, str, str]
"""Path below the root, class, and split."""


def load_unseen_classes(root: PathLike, *, size: int = 48, progress: Progress = no_progress) -> Dataset:
    """Read CUB200, Cars196, Stanford Online Products or In-Shop from ``root``, whichever lies there.

    Gives X (n, size, size, 3) uint8, proportions kept, on white; y = class; attributes ``file`` and ``split``
    (``"train"``, ``"test"``, and for In-Shop ``"query"`` and ``"gallery"``), whose classes do not meet. ``root`` holds

    - ``CUB_200_2011/images/<class>/*.jpg``: of the sorted folders the first half is trained on (100 of 200);
    - ``cars196/cars_annos.mat`` and the pictures it names: classes up to the middle (98 of 196);
    - ``Stanford_Online_Products/Ebay_train.txt``, ``Ebay_test.txt`` (``image_id class_id super_class_id path``);
    - ``Eval/list_eval_partition.txt`` (In-Shop: a count, a header, ``image item split``), pictures beside ``Eval``.

    Raises ``InputError`` for a folder with none of them, lines of another form, and pictures that can't be read.
    O(pixels).
    """
    place = Path(root)
    for name, (mark, read) in _LAYOUTS.items():
        for base in (place, *sorted(child for child in place.glob("*") if child.is_dir())):
            if (base / mark).exists():
                return _dataset(name, base, read(base), size, progress)
    raise InputError("root", got=str(place), expected="one of " + ", ".join(mark for mark, _ in _LAYOUTS.values()))


def _cub(base: Path) -> list[Row]:
    folders = sorted(child for child in (base / "images").iterdir() if child.is_dir())
    rows = []
    for number, folder in enumerate(folders):
        split = "train" if number < len(folders) // 2 else "test"
        rows += [(file.relative_to(base).as_posix(), folder.name, split) for file in sorted(folder.glob("*.jpg"))]
    return rows


def _cars(base: Path) -> list[Row]:
    from scipy.io import loadmat

    found = loadmat(base / "cars_annos.mat", squeeze_me=True)["annotations"]
    files, classes = found["relative_im_path"], found["class"].astype(int)
    middle = int(classes.max()) // 2
    return [
        (str(file), f"{number:03d}", "train" if number <= middle else "test")
        for file, number in zip(files, classes.tolist(), strict=True)
    ]


def _products(base: Path) -> list[Row]:
    rows = []
    for split in ("train", "test"):
        rows += [(parts[3], parts[1], split) for parts in _lines(base / f"Ebay_{split}.txt", skip=1, width=4)]
    return rows


def _in_shop(base: Path) -> list[Row]:
    partition = base / "Eval" / "list_eval_partition.txt"
    return [(parts[0], parts[1], parts[2]) for parts in _lines(partition, skip=2, width=3)]


_LAYOUTS: dict[str, tuple[str, Callable[[Path], list[Row]]]] = {
    "cub200": ("images", _cub),
    "cars196": ("cars_annos.mat", _cars),
    "online-products": ("Ebay_train.txt", _products),
    "in-shop": ("Eval/list_eval_partition.txt", _in_shop),
}


def _lines(file: Path, *, skip: int, width: int) -> list[list[str]]:
    rows = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        parts = line.split()
        if number <= skip or not parts:
            continue
        if len(parts) != width:
            raise InputError(f"{file.name}, line {number}", got=line, expected=f"{width} columns")
        rows.append(parts)
    return rows


def _dataset(name: str, base: Path, rows: list[Row], size: int, progress: Progress) -> Dataset:
    if not rows:
        raise InputError("root", got=f"{base} without pictures", expected=f"the pictures of {name}")
    pictures = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    for done, (file, _, _) in enumerate(rows):
        if done % 50 == 0:
            progress("read pictures", done, len(rows))
        pictures[done] = read_picture(base / file, size=size)
    classes, y = np.unique([one for _, one, _ in rows], return_inverse=True)
    attributes = {"file": [file for file, _, _ in rows], "split": [split for _, _, split in rows]}
    return Dataset(name, pictures, y.astype(np.int64), classes.tolist(), attributes, "research", str(base))
