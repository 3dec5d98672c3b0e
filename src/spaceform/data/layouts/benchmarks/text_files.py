"""Opening the files of a benchmark folder, with errors that name the file and the line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import IntArray, PathLike


def benchmark_file(root: PathLike, *names: str) -> Path:
    """Return the first of ``names`` (paths below ``root``) that is a file; ``root`` may be the file itself.

    Raises ``InputError`` that lists the names looked for.
    """
    place = existing(root, "root")
    if place.is_file():
        if place.name in {Path(name).name for name in names}:
            return place
        raise InputError("root", got=shown(place), expected="the file " + " or ".join(names))
    for name in names:
        if (place / name).is_file():
            return place / name
    raise InputError(
        "root", got=f"{shown(place)}, which lacks {' and '.join(names)}", expected=f"a folder with {names[0]}"
    )


def read_numbers(path: Path, *, separator: str | None, columns: int) -> NDArray[np.float64]:
    """Return the (n, columns) numbers of a text file, one row per line; ``separator`` None is any white space.

    Raises ``InputError`` for what is no number, another number of columns, and an empty file.
    """
    return parse_numbers([line for _, line in text_lines(path)], path, separator=separator, columns=columns)


def parse_numbers(lines: list[str], path: Path, *, separator: str | None, columns: int) -> NDArray[np.float64]:
    """As ``read_numbers`` for lines at hand; ``path`` is for the error."""
    if not lines:
        raise InputError(shown(path), got="no rows", expected=f"rows of {columns} numbers")
    try:
        table = np.loadtxt(lines, delimiter=separator, comments=None, ndmin=2)
    except ValueError as error:
        raise InputError(
            shown(path), got=f"a file that can't be read: {error}", expected=f"rows of {columns} numbers"
        ) from error
    if table.shape[1] != columns:
        raise InputError(shown(path), got=f"{table.shape[1]} columns", expected=f"{columns}")
    return table


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 file, empty lines left out."""
    try:
        with path.open(encoding="utf-8") as handle:
            for number, line in enumerate(handle, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(shown(path), got=f"a file that can't be read: {error}", expected="UTF-8 text") from error


def bad_line(path: Path, number: int, line: str, *, expected: str) -> InputError:
    """Return the error for line ``number`` of a file."""
    return InputError(f"{shown(path)}, line {number}", got=repr(line[:60]), expected=expected)


def whole_labels(values: NDArray, path: Path, *, low: int, high: int) -> IntArray:
    """Return labels as int64 counted from 0; refuses what is not a whole number from ``low`` to ``high``."""
    wrong = np.flatnonzero((values != np.round(values)) | (values < low) | (values > high))
    if wrong.size:
        row = int(wrong[0])
        raise InputError(f"{shown(path)}, row {row}", got=f"class {values[row]:g}", expected=f"{low} to {high}")
    return values.astype(np.int64) - low
