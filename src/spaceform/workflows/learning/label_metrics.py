"""Distances between the classes of a Space: from a file, or from columns that say what lies under what."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spaceform.checks import check_choice
from spaceform.errors import InputError
from spaceform.geometry import GraphMetric, LabelMetric, MatrixMetric, TreeMetric
from spaceform.space import Space
from spaceform.types import PathLike

HEADER = ("child", "parent")
ROOT = "everything"
FORM = "lines child,parent or child,parent,length"


def read_label_metric(path: PathLike, classes: Sequence[str]) -> LabelMetric:
    """Return the metric in a file.

    - ``.csv``, ``.tsv``: lines ``child,parent`` or ``child,parent,length`` (a header ``child,parent`` may come first).
      As many edges as labels less one make a tree; more a graph, of which shortest paths count.
    - ``.npy``: a square matrix, its rows in the order of the lines of ``<name>.txt`` beside it, or without such a
      file in the order of ``classes``; ``.npz`` holds the arrays ``D`` and ``labels``.

    Raises ``InputError`` for other files, lines of another form, and what the metrics refuse.
    """
    place = Path(path)
    if not place.is_file():
        raise InputError("label_metric", got=str(place), expected="an existing file")
    if place.suffix in {".csv", ".tsv"}:
        return _edges(place)
    if place.suffix == ".npz":
        with np.load(place, allow_pickle=False) as arrays:
            if not {"D", "labels"} <= set(arrays):
                raise InputError("label_metric", got=f"arrays {', '.join(arrays)}", expected="arrays D and labels")
            return MatrixMetric(arrays["D"], labels=arrays["labels"])
    if place.suffix == ".npy":
        names = place.with_suffix(".txt")
        labels = names.read_text(encoding="utf-8").splitlines() if names.is_file() else list(classes)
        return MatrixMetric(np.load(place, mmap_mode="r", allow_pickle=False), labels=labels)
    raise InputError("label_metric", got=place.suffix or place.name, expected="a .csv, .tsv, .npy or .npz file")


def tree_of_columns(space: Space, columns: Sequence[str], *, label: str | None = None) -> TreeMetric:
    """Return the tree in which each class lies under the values of ``columns``, coarse to fine, one hop per level.

    Inner labels are named by column and path, as in ``"subcategory: Food > fruit"``; the one above all
    ``"everything"``. Rows with a missing value count only where another row completes their class.
    Raises ``InputError`` for unknown columns, a class under two places, and a class under none. O(n).
    """
    if not columns:
        raise InputError("hierarchy", got="no column", expected="columns of the Space, coarse to fine")
    for name in columns:
        check_choice(name, "hierarchy", space.columns)
    codes, classes = space.labels(label)
    values = [space.column(name) for name in columns]
    parents: dict[str, str | None] = {ROOT: None}
    for row in np.flatnonzero(codes >= 0).tolist():
        path = [column[row] for column in values]
        if any(value is None or (isinstance(value, float) and math.isnan(value)) for value in path):
            continue
        above = ROOT
        for depth, name in enumerate(columns):
            node = f"{name}: {' > '.join(map(str, path[: depth + 1]))}"
            parents[node] = above
            above = node
        leaf = classes[codes[row]]
        if parents.setdefault(leaf, above) != above:
            raise InputError("hierarchy", got=f"{leaf!r} under {parents[leaf]!r} and {above!r}", expected="one place")
    lost = [name for name in classes if name not in parents]
    if lost:
        got = f"no row of {lost[0]!r} with all of {', '.join(columns)}"
        raise InputError("hierarchy", got=got, expected="one per class")
    names = list(parents)
    place = {name: at for at, name in enumerate(names)}
    return TreeMetric([-1 if above is None else place[above] for above in parents.values()], labels=names)


def _edges(place: Path) -> LabelMetric:
    with place.open(encoding="utf-8", newline="") as handle:
        reader = csv.reader(handle, delimiter="\t" if place.suffix == ".tsv" else ",")
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    if rows and tuple(cell.lower() for cell in rows[0][1][:2]) == HEADER:
        rows = rows[1:]
    if not rows:
        raise InputError("label_metric", got=f"{place} without edges", expected=FORM)
    width = len(rows[0][1])
    for line, row in rows:
        if width not in {2, 3} or len(row) != width or not all(row):
            raise InputError(f"{place.name}, line {line}", got=",".join(row), expected=f"{FORM} throughout")
    pairs = [row[:2] for _, row in rows]
    lengths = [_length(place, line, row[2]) for line, row in rows] if width == 3 else None
    if len(pairs) == len({name for pair in pairs for name in pair}) - 1:
        return TreeMetric.from_edges(pairs, lengths=lengths)
    return GraphMetric.from_edges(pairs, lengths=lengths)


def _length(place: Path, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{place.name}, line {line}", got=repr(text), expected="a length") from None
