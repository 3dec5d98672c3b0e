"""Data sets of the UCI repository, in the text files that it offers (unpacked)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_choice, check_integer
from spaceform.data.dataset import Dataset
from spaceform.data.layouts.benchmarks.text_files import (
    bad_line,
    benchmark_file,
    parse_numbers,
    read_numbers,
    text_lines,
    whole_labels,
)
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.rng import as_generator
from spaceform.types import IntArray, PathLike, Progress, RandomState, no_progress

LICENCE = "CC-BY-4.0 (UCI repository)"

MFEAT_VIEWS = {"fac": 216, "fou": 76, "kar": 64, "mor": 6, "pix": 240, "zer": 47}
"""Number of features of each view of the multiple-feature digits."""

_ACTIVITIES = ["WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "STANDING", "LAYING"]
_SCHOOLING = "iYearsch"
_DIGITS = [str(digit) for digit in range(10)]


def load_letter_file(root: PathLike, *, progress: Progress = no_progress) -> Dataset:
    """Read ``letter-recognition.data``: X (20000, 16) float64, y A to Z; equals ``load("letter")``."""
    path = benchmark_file(root, "letter-recognition.data")
    letters, rows = [], []
    for number, line in text_lines(path):
        letter, _, numbers = line.partition(",")
        if not ("A" <= letter <= "Z" and len(letter) == 1):
            raise bad_line(path, number, line, expected="a capital letter, then 16 numbers")
        letters.append(ord(letter) - ord("A"))
        rows.append(numbers)
    X = parse_numbers(rows, path, separator=",", columns=16)
    progress("read uci-letter", len(X), len(X))
    classes = [chr(ord("A") + index) for index in range(26)]
    return Dataset("uci-letter", X, np.array(letters, dtype=np.int64), classes, {}, LICENCE, str(path))


def load_optdigits(root: PathLike, *, progress: Progress = no_progress) -> Dataset:
    """Read ``optdigits.tra`` and ``.tes``: X (5620, 64) float64 of counts 0..16, y = digit, attribute ``split``."""
    return _split_digits(root, "optdigits", 64, progress)


def load_pendigits(root: PathLike, *, progress: Progress = no_progress) -> Dataset:
    """Read ``pendigits.tra`` and ``.tes``: X (10992, 16) float64 of 0..100, y = digit, attribute ``split``."""
    return _split_digits(root, "pendigits", 16, progress)


def load_mfeat(root: PathLike, *, view: str = "fac", progress: Progress = no_progress) -> Dataset:
    """Read ``mfeat-<view>``: X (2000, 216 for "fac") float64; y = digit: the file has 200 rows of each, in order.

    ``view``: fac (profile correlations), fou, kar, mor, pix or zer.
    """
    width = MFEAT_VIEWS[check_choice(view, "view", list(MFEAT_VIEWS))]
    path = benchmark_file(root, f"mfeat-{view}", f"mfeat/mfeat-{view}")
    X = read_numbers(path, separator=None, columns=width)
    if len(X) != 2000:
        raise InputError(shown(path), got=f"{len(X)} rows", expected="2000, 200 of each digit in order")
    progress("read uci-mfeat", len(X), len(X))
    return Dataset("uci-mfeat", X, np.repeat(np.arange(10), 200), list(_DIGITS), {}, LICENCE, str(path))


def load_cnae9(root: PathLike, *, progress: Progress = no_progress) -> Dataset:
    """Read ``CNAE-9.data``: X (1080, 856) float64 word counts, y = one of 9 branches of business."""
    path = benchmark_file(root, "CNAE-9.data")
    table = read_numbers(path, separator=",", columns=857)
    y = whole_labels(table[:, 0], path, low=1, high=9)
    progress("read uci-cnae9", len(y), len(y))
    return Dataset("uci-cnae9", table[:, 1:], y, [str(code) for code in range(1, 10)], {}, LICENCE, str(path))


def load_har(root: PathLike, *, progress: Progress = no_progress) -> Dataset:
    """Read ``UCI HAR Dataset/{train,test}``: X (10299, 561) float64 in [-1, 1], y = one of 6 activities.

    ``root`` is that folder or the one that holds it. Attributes ``split`` and ``subject`` (1 to 30).
    """
    parts = []
    for done, split in enumerate(("train", "test")):
        progress("read uci-har", done, 2)
        X, y, subject = (
            benchmark_file(root, f"{split}/{name}_{split}.txt", f"UCI HAR Dataset/{split}/{name}_{split}.txt")
            for name in ("X", "y", "subject")
        )
        columns = [
            read_numbers(path, separator=None, columns=width) for path, width in ((X, 561), (y, 1), (subject, 1))
        ]
        if len({len(column) for column in columns}) != 1:
            raise InputError(
                shown(X.parent), got=f"{[len(c) for c in columns]} rows in X, y, subject", expected="as many"
            )
        parts.append((columns[0], whole_labels(columns[1][:, 0], y, low=1, high=6), columns[2][:, 0].astype(np.int64)))
    progress("read uci-har", 2, 2)
    rows = [len(part[0]) for part in parts]
    attributes = {"split": np.repeat(["train", "test"], rows), "subject": np.concatenate([part[2] for part in parts])}
    rows_of_all, labels = (np.concatenate([part[at] for part in parts]) for at in (0, 1))
    return Dataset("uci-har", rows_of_all, labels, list(_ACTIVITIES), attributes, LICENCE, str(root))


def load_uscensus(
    root: PathLike,
    *,
    max_per_class: int | None = None,
    random_state: RandomState = 0,
    progress: Progress = no_progress,
) -> Dataset:
    """Read ``USCensus1990.data.txt``: X (2458285, 67) int16 codes, y = years of schooling (iYearsch, 18 codes).

    iYearsch as the class and the other columns but caseid as X: as in the experiments of Troisemaine et al. 2024,
    which keep at most 1000 rows per class; ``max_per_class`` draws that many with ``random_state``, in file order.
    O(file) time; 330 MB of memory for all rows.
    """
    path = benchmark_file(root, "USCensus1990.data.txt")
    progress("read uci-uscensus", 0, 1)
    columns = _read_codes(path)
    y = whole_labels(columns.pop(_SCHOOLING), path, low=0, high=17)
    keep = np.arange(len(y))
    if max_per_class is not None:
        check_integer(max_per_class, "max_per_class", low=1)
        order = as_generator(random_state).permutation(len(y))
        keep = np.sort(np.concatenate([order[y[order] == label][:max_per_class] for label in range(18)]))
    X = np.column_stack([column[keep] for column in columns.values()])
    progress("read uci-uscensus", 1, 1)
    return Dataset("uci-uscensus", X, y[keep], [str(code) for code in range(18)], {}, LICENCE, str(path))


def _read_codes(path: Path) -> dict[str, NDArray[np.int16]]:
    """Return the columns but ``caseid``; the types are given, for guessed ones would take four times the memory."""
    import pyarrow as pa
    from pyarrow import csv

    header = next(text_lines(path), (0, ""))[1].split(",")
    names = [name for name in header if name != "caseid"]
    if _SCHOOLING not in names or len(names) < 2:
        raise InputError(shown(path), got=f"columns {header[:5]}", expected=f"a header with {_SCHOOLING}")
    convert = csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pa.int16()))
    try:
        table = csv.read_csv(path, convert_options=convert)
        return {name: table.column(name).to_numpy() for name in names}
    except (pa.ArrowException, ValueError, OSError) as error:
        raise InputError(shown(path), got=f"a file that can't be read: {error}", expected="rows of codes") from error


def _split_digits(root: PathLike, name: str, width: int, progress: Progress) -> Dataset:
    X: list[NDArray] = []
    y: list[IntArray] = []
    for done, ending in enumerate(("tra", "tes")):
        progress(f"read uci-{name}", done, 2)
        path = benchmark_file(_folder(root), f"{name}.{ending}")
        table = read_numbers(path, separator=",", columns=width + 1)
        X.append(table[:, :-1])
        y.append(whole_labels(table[:, -1], path, low=0, high=9))
    progress(f"read uci-{name}", 2, 2)
    split = np.repeat(["train", "test"], [len(part) for part in X])
    return Dataset(
        f"uci-{name}", np.concatenate(X), np.concatenate(y), list(_DIGITS), {"split": split}, LICENCE, str(root)
    )


def _folder(root: PathLike) -> Path:
    place = existing(root, "root")
    return place if place.is_dir() else place.parent
