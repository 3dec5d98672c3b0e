"""Large Scale Hierarchical Text Classification: sparse word counts with several labels each, in libsvm-like lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spaceform.checks import check_integer
from spaceform.data.layouts.benchmarks.text_files import bad_line, text_lines
from spaceform.data.layouts.source import existing, shown
from spaceform.errors import InputError
from spaceform.types import IntArray, PathLike, Progress, no_progress

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class SparseTexts:
    """Documents as word counts: ``X`` (n, features) sparse float32, ``labels`` the classes of each, sorted."""

    X: csr_array
    labels: list[IntArray]

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.labels)


def read_lshtc(path: PathLike, *, max_rows: int | None = None, progress: Progress = no_progress) -> SparseTexts:
    """Read lines "label, label, ... feature:count feature:count ..." (a first line without a colon is a header).

    ``max_rows`` stops early. The classes' graph is ``hierarchies.read_edges("hierarchy.txt")``.
    Raises ``InputError`` naming the line of another form. O(file) time, 8 bytes per count.
    """
    from scipy.sparse import csr_array

    place = existing(path)
    if max_rows is not None:
        check_integer(max_rows, "max_rows", low=1)
    labels: list[IntArray] = []
    columns: list[IntArray] = []
    counts: list[np.ndarray] = []
    for number, line in text_lines(place):
        if number == 1 and ":" not in line:
            continue
        try:
            found, column, count = _parse(line)
        except ValueError as error:
            raise bad_line(place, number, line, expected="'label, label feature:count feature:count'") from error
        labels.append(found)
        columns.append(column)
        counts.append(count)
        if len(labels) % 10_000 == 0:
            progress("read lshtc", len(labels), max_rows or 0)
        if len(labels) == max_rows:
            break
    if not labels:
        raise InputError(shown(place), got="no document", expected="at least one line")
    progress("read lshtc", len(labels), len(labels))
    starts = np.concatenate([[0], np.cumsum([len(column) for column in columns])])
    flat = np.concatenate(columns)
    X = csr_array((np.concatenate(counts), flat, starts), shape=(len(labels), int(flat.max()) + 1))
    X.sum_duplicates()
    return SparseTexts(X, labels)


def _parse(line: str) -> tuple[IntArray, IntArray, np.ndarray]:
    head, *fields = line.replace(",", " , ").split(" ")
    labels, features, counts = [], [], []
    for field in (head, *fields):
        feature, colon, count = field.partition(":")
        if colon:
            features.append(int(feature))
            counts.append(float(count))
        elif field not in {"", ","}:
            if features:
                raise ValueError("a label after the features")
            labels.append(int(field))
    if not labels or not features or min(features) < 0 or not np.isfinite(counts).all():
        raise ValueError("no label, no feature or no finite count")
    return np.unique(np.array(labels)), np.array(features, dtype=np.int64), np.array(counts, dtype=np.float32)
