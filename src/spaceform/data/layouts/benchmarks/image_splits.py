"""Few-shot benchmarks as one folder of pictures and a list of files and classes for each split."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from spaceform.checks import check_integer
from spaceform.data.dataset import Dataset
from spaceform.data.layouts.benchmarks.text_files import bad_line
from spaceform.data.layouts.images import read_picture
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress

SPLITS = ("train", "val", "test")


def load_image_splits(root: PathLike, *, size: int = 84, progress: Progress = no_progress) -> Dataset:
    """Read ``<root>/images/<file>`` and ``<root>/split/{train,val,test}.csv``: X (n, size, size, 3) uint8, y = class.

    A list has a header and lines ``file,class`` (miniImageNet, CUB, Caltech, Cars and Dogs as the SuSana losses were
    trained on); no class is in two lists. Attributes ``split`` and ``file``. Raises ``InputError`` for a missing list
    ``train`` or ``test``, other lines, shared classes, and pictures that can't be read. O(pixels).
    """
    folder, size = existing(root, "root"), check_integer(size, "size", low=1, high=4096)
    rows = [(split, *row) for split in SPLITS for row in _listed(folder / "split" / f"{split}.csv", split != "val")]
    split_of: dict[str, str] = {}
    for split, _, label in rows:
        if split_of.setdefault(label, split) != split:
            got = f"class {label} in {split_of[label]} and {split}"
            raise InputError(shown(folder), got=got, expected="every class in one split")
    pictures = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    for done, (_, name, _) in enumerate(rows):
        if done % 200 == 0:
            progress("read pictures", done, len(rows))
        pictures[done] = read_picture(folder / "images" / name, size=size)
    progress("read pictures", len(rows), len(rows))
    classes, y = np.unique([label for _, _, label in rows], return_inverse=True)
    attributes = {"split": np.array([row[0] for row in rows]), "file": np.array([row[1] for row in rows])}
    return Dataset("image-splits", pictures, y.astype(np.int64), classes.tolist(), attributes, "the owner's", str(root))


def _listed(path: Path, needed: bool) -> list[tuple[str, str]]:
    if not path.is_file():
        if not needed:
            return []
        raise InputError("root", got=f"no file {shown(path)}", expected="split/train.csv and split/test.csv")
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))[1:]
    rows = []
    for number, line in enumerate(lines, 2):
        if len(line) != 2 or not all(line) or ".." in line[0] or line[0].startswith("/"):
            raise bad_line(path, number, ",".join(line), expected="a file below images/ and a class")
        rows.append((line[0], line[1]))
    if not rows:
        raise InputError("root", got=f"{shown(path)} without pictures", expected="lines below a header")
    return rows
