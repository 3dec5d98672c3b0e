"""Labeled Faces in the Wild: a folder per person, and the pairs of the verification protocol."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from spaceform.data.dataset import Dataset
from spaceform.data.layouts.benchmarks.text_files import bad_line, benchmark_file, text_lines
from spaceform.data.layouts.images import read_image_folder
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import BoolArray, IntArray, PathLike, Progress, no_progress

LICENCE = "for research (University of Massachusetts, Amherst)"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Verification pairs: rows ``first`` and ``second`` (p,) int64, ``same`` (p,) bool, ``fold`` (p,) int64 from 0."""

    first: IntArray
    second: IntArray
    same: BoolArray
    fold: IntArray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.first)


def load_lfw(root: PathLike, *, size: int = 96, progress: Progress = no_progress) -> Dataset:
    """Read ``<root>/<Name>/<Name>_0001.jpg``: X (13233, size, size, 3) uint8, y = person (5,749).

    Attribute ``number`` is that of the file, ``file`` its path within ``root``. O(pixels); 366 MB at size 96.
    Raises ``InputError`` for pictures that can't be read or are named otherwise.
    """
    found = read_image_folder(root, size=size, progress=progress)
    if found.label is None or found.images is None:
        raise InputError("root", got=f"{shown(root)}, pictures without folders", expected="a folder per person")
    people = found.attributes["class"]
    numbers = []
    for person, file in zip(people, found.attributes["file"], strict=True):
        match = re.fullmatch(rf"{re.escape(str(person))}_(\d+)\.\w+", file.rpartition("/")[2])
        if match is None:
            raise InputError(shown(file), got="its name", expected=f"{person}_0001.jpg or another number")
        numbers.append(int(match[1]))
    classes, y = np.unique(people, return_inverse=True)
    attributes = {"number": np.array(numbers), "file": found.attributes["file"]}
    return Dataset("lfw", found.images, y.astype(np.int64), classes.tolist(), attributes, LICENCE, str(root))


def read_pairs(path: PathLike, faces: Dataset) -> Pairs:
    """Read ``pairs.txt`` (the file, or the folder that holds it) as rows of ``faces``, what ``load_lfw`` returned.

    The header is "folds<TAB>n" (one number: one fold of n); each fold has n lines "name i j" of one person, then n
    lines "name1 i name2 j" of two. In the standard file these are 10 folds of 300 + 300: 6,000 pairs.
    Raises ``InputError`` naming the line that is of another form or names a picture that is not there.
    """
    place = existing(path)
    if place.is_dir():
        place = benchmark_file(place, "pairs.txt")
    row = {
        (faces.classes[label], int(number)): index
        for index, (label, number) in enumerate(zip(faces.y, faces.attributes["number"], strict=True))
    }
    lines = list(text_lines(place))
    if not lines or not re.fullmatch(r"\s*\d+(\s+\d+)?\s*", lines[0][1]):
        raise InputError(
            shown(place), got=repr(lines[0][1][:60] if lines else ""), expected="a header of one or two numbers"
        )
    head = [int(number) for number in lines[0][1].split()]
    folds, each = head if len(head) == 2 else (1, head[0])
    if len(lines) - 1 != 2 * folds * each:
        raise InputError(
            shown(place), got=f"{len(lines) - 1} pairs", expected=f"{2 * folds * each}, as the header says"
        )
    ends, same = [], []
    for number, line in lines[1:]:
        field = line.split("\t") if "\t" in line else line.split()
        if len(field) == 3:
            field.insert(2, field[0])
        try:
            name1, first, name2, second = field
            ends.append((row[name1, int(first)], row[name2, int(second)]))
        except (ValueError, KeyError) as error:
            raise bad_line(
                place, number, line, expected="'name i j' or 'name1 i name2 j' of pictures in the set"
            ) from error
        same.append(name1 == name2)
    both = np.array(ends, dtype=np.int64)
    return Pairs(both[:, 0], both[:, 1], np.array(same), np.arange(len(same)) // (2 * each))
