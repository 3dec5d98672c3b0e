"""Pictures named by a list: ``image_id class_id path``, one a line below a header, as of medical benchmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spaceform.checks import check_integer
from spaceform.data.dataset import Dataset
from spaceform.data.layouts.images import read_picture
from spaceform.data.layouts.source import shown
from spaceform.errors import InputError
from spaceform.types import PathLike, Progress, no_progress


def load_image_list(root: PathLike, *, listing: str, size: int = 256, progress: Progress = no_progress) -> Dataset:
    """Read the pictures of ``<root>/<listing>``: X (n, size, size, 3) uint8, y = class_id - 1, attribute "file".

    Lines are ``image_id class_id path`` under a header, classes count from 1, paths start at ``root`` and may hold
    blanks (ISIC-2019, MURA-v1.1 and HyperKvasir as prepared for dynamic subspace learners). Pictures keep their
    proportions, on white. Raises ``InputError`` for a list or a picture that can't be read, with the line.
    O(pixels) time, n * size * size * 3 bytes of memory.
    """
    home, size = Path(root), check_integer(size, "size", low=1, high=4096)
    place = home / listing
    try:
        lines = place.read_text(encoding="utf-8").splitlines()[1:]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("listing", got=f"{shown(place)} ({error})", expected="a list of pictures") from error
    rows = [_row(line, number, place) for number, line in enumerate(lines, start=2) if line.strip()]
    if not rows:
        raise InputError("listing", got=f"{shown(place)} without pictures", expected="lines below a header")
    y = np.array([code for code, _ in rows], dtype=np.int64)
    files = [file for _, file in rows]
    pictures = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    for done, file in enumerate(files):
        if done % 50 == 0:
            progress("read pictures", done, len(files))
        pictures[done] = read_picture(home / file, size=size)
    progress("read pictures", len(files), len(files))
    classes = [str(code + 1) for code in range(int(y.max()) + 1)]
    return Dataset("image-list", pictures, y, classes, {"file": files}, "the owner's", str(place))


def _row(line: str, number: int, place: Path) -> tuple[int, str]:
    parts = line.split(maxsplit=2)
    if len(parts) < 3 or not parts[1].isdecimal() or int(parts[1]) < 1:
        got = f"{shown(place.name)} line {number}: {line[:60]!r}"
        raise InputError("listing", got=got, expected="image_id class_id path, classes from 1")
    return int(parts[1]) - 1, parts[2].strip()
