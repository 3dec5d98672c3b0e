"""The data on which search is measured: rows with columns, held-out queries and the cells asked of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import and_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.data.debian import load_debian
from spaceform.data.generators.correlated import correlated_rows
from spaceform.data.layouts.benchmarks.search import SearchTask, load_arxiv_fanns, load_yfcc
from spaceform.data.wordnet import LEXICOGRAPHER_CLASSES, load_glosses
from spaceform.encoders.gloss_vectors import load_gloss_vectors
from spaceform.errors import InputError
from spaceform.geometry.arrays import direction
from spaceform.search.filters import Expr, F
from spaceform.types import IntArray, Progress, no_progress
from spaceform.workflows.benching.searching.cells import SHARES, Cell, Drawer, around
from spaceform.workflows.benching.searching.texts import by_encoder, by_words

TUNED, MEASURED = 40, 120
"""Queries per cell: to tune with, and to measure with; all are held out of the rows."""

K = 10

_NOUNS = 50_000


@dataclass(frozen=True, eq=False)
class Bed:
    """Unit vectors ``X (n, d)``, ``columns`` of length n, ``queries`` (TUNED + MEASURED, d), ``cells`` of filters."""

    name: str
    X: NDArray[np.float32]
    columns: Mapping[str, Any]
    queries: NDArray[np.float32]
    cells: Sequence[Cell]


def debian_sentences(progress: Progress = no_progress) -> Bed:
    """Return Debian's packages as vectors of MiniLM, 384-d."""
    data = load_debian(progress=progress)
    return _packages("debian", by_encoder("debian", data.X.tolist(), progress), data.attributes)


def debian_words(progress: Progress = no_progress) -> Bed:
    """Return Debian's packages as tf-idf reduced to 256-d."""
    data = load_debian(progress=progress)
    return _packages("debian-words", by_words("debian", data.X.tolist(), progress=progress), data.attributes)


def glosses(progress: Progress = no_progress) -> Bed:
    """Return 50,000 nouns of WordNet, words and gloss as vectors of MiniLM, 384-d; queries are words without gloss."""
    made = load_gloss_vectors(_NOUNS, progress=progress)  # those of the claims of filtered search
    nouns, rows = made.nouns, made.kept
    columns = {
        "kind": [LEXICOGRAPHER_CLASSES[kind] for kind in nouns.classes[rows].tolist()],
        "length": np.array([len(nouns.glosses[row]) for row in rows.tolist()]),
        "synset": rows,
        "words": [tuple(sorted(set(re.findall("[a-z]+", nouns.glosses[row].lower())))) for row in rows.tolist()],
    }
    total = TUNED + MEASURED
    cells = Drawer(columns, len(rows), np.random.default_rng(0)).cells(
        total, equal=("kind",), ranges=("length", "synset"), sets=("words",)
    )
    return Bed("wordnet", made.rows, columns, made.queries[:total], cells)


def wordnet_words(progress: Progress = no_progress) -> Bed:
    """Return all 117,791 synsets of WordNet, their glosses as tf-idf reduced to 256-d."""
    data = load_glosses(progress=progress)
    X = by_words("wordnet", data.X.tolist(), progress=progress)
    named = {"class": [data.classes[label] for label in data.y], **data.attributes}
    columns = {name: named[name] for name in ("class", "part_of_speech", "n_words", "n_pointers", "length", "words")}
    asked = {"equal": ("class", "part_of_speech"), "ranges": ("length", "n_pointers"), "sets": ("words",)}
    return _held_out("wordnet-words", X, columns, asked)


def correlated(progress: Progress = no_progress) -> Bed:
    """Return 1,000,000 rows of 96 dimensions whose ranges follow the query, flee it, or do neither."""
    return _correlated("correlated", 1_000_000, 96, progress)


def quick(progress: Progress = no_progress) -> Bed:
    """Return 6,000 rows of 32 dimensions, made up, with all kinds of filters."""
    bed = _correlated("quick", 6_000, 32, progress)
    generator = np.random.default_rng(1)
    groups = np.minimum(generator.zipf(1.3, len(bed.X)), 400)
    columns = {
        **bed.columns,
        "kind": [f"g{group}" for group in groups],
        "marks": [tuple(f"m{mark}" for mark in {int(group) % 5, int(group) % 37}) for group in groups],
    }
    drawn = Drawer(columns, len(bed.X), generator).cells(
        len(bed.queries), equal=("kind",), ranges=("anywhere",), sets=("marks",)
    )
    kept = [cell for cell in drawn if cell.share in (0.2, 0.01)]
    return replace(bed, columns=columns, cells=[*kept, *(cell for cell in bed.cells if cell.share == SHARES[2])])


BEDS: Mapping[str, Callable[[Progress], Bed]] = {
    "debian-words": debian_words,
    "wordnet": glosses,
    "wordnet-words": wordnet_words,
    "correlated": correlated,
}
"""The data sets of the full run by name."""

OTHERS: Mapping[str, Callable[[Progress], Bed]] = {"debian": debian_sentences, "quick": quick}
"""Those that one asks for: one whose vectors take ten minutes to make, and that of the short run."""

FOLDERS: Mapping[str, Callable[..., SearchTask]] = {
    "arxiv-em": partial(load_arxiv_fanns, kind="em"),
    "arxiv-r": partial(load_arxiv_fanns, kind="r"),
    "arxiv-emis": partial(load_arxiv_fanns, kind="emis"),
    "yfcc-10M": load_yfcc,
}
"""Benchmarks in a folder of the user's: asked for as "name:folder"."""


def make(name: str, progress: Progress = no_progress) -> Bed:
    """Return a bed by its name, or by "name:folder" for a benchmark that the user has."""
    kind, colon, folder = name.partition(":")
    if colon:
        return from_task(name, FOLDERS[kind](folder, progress=progress))
    return {**BEDS, **OTHERS}[name](progress)


def from_task(name: str, task: SearchTask) -> Bed:
    """Return the bed of a published benchmark: its filters are one cell, its rows are scaled to unit length.

    Its neighbours are found anew, since ours are by angle among the rows that pass.
    """
    total = TUNED + MEASURED
    if len(task.queries) < total:
        raise InputError("data", got=f"{len(task.queries)} queries", expected=f"{total}, to tune and to measure with")
    X, queries = (direction(np.asarray(some, dtype=np.float32)) for some in (task.X, task.queries[:total]))
    where = [_expression(asked) for asked in task.asked[:total]]
    return Bed(name, X, task.columns, queries, [Cell(name.partition(":")[0], float("nan"), where)])


def _expression(asked: Sequence[tuple[str, str, Any]]) -> Expr:
    parts = [_part(*one) for one in asked]
    return reduce(and_, parts)


def _part(column: str, operator: str, value: Any) -> Expr:
    if operator == "between":
        return F(column).between(*value)
    return F(column).contains(value) if operator == "contains" else F(column) == value


def _packages(name: str, X: NDArray[np.float32], attributes: Mapping[str, Any]) -> Bed:
    wanted = ("section", "architecture", "maintainer", "installed_size", "size", "n_depends", "tags", "depends")
    asked = {
        "equal": ("section", "architecture", "maintainer"),
        "ranges": ("installed_size", "size"),
        "sets": ("tags", "depends"),
    }
    return _held_out(name, X, {column: attributes[column] for column in wanted}, asked)


def _held_out(name: str, X: NDArray[np.float32], columns: Mapping[str, Any], asked: Mapping[str, Sequence[str]]) -> Bed:
    """Take queries out of the rows, and draw filters from the values of those that stay."""
    generator = np.random.default_rng(0)
    total = TUNED + MEASURED
    held = generator.choice(len(X), total, replace=False)
    rest = np.setdiff1d(np.arange(len(X)), held)
    kept = {column: _taken(values, rest) for column, values in columns.items()}
    cells = Drawer(kept, len(rest), generator).cells(total, **asked)
    return Bed(name, np.ascontiguousarray(X[rest]), kept, np.ascontiguousarray(X[held]), cells)


def _taken(values: Any, rows: IntArray) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]


def _correlated(name: str, n: int, d: int, progress: Progress) -> Bed:
    progress("draw rows", 0, 1)
    total = TUNED + MEASURED
    made = correlated_rows(n + total, d, random_state=0)
    cells = []
    for share in SHARES:
        near, place = made.anywhere[n:], made.place[n:]
        cells += [
            Cell("R, zero", share, around("anywhere", near, share)),
            Cell("R, positive", share, around("place", place, share)),
            Cell("R, negative", share, around("place", (place + 0.5) % 1.0, share)),
        ]
    columns = {"anywhere": made.anywhere[:n].copy(), "place": made.place[:n].copy()}
    progress("draw rows", 1, 1)
    return Bed(name, made.X[:n].copy(), columns, made.X[n:].copy(), sorted(cells, key=lambda cell: cell.kind))
