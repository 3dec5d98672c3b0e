"""The data on which search is measured: rows with columns, and cells of queries that are held out of them."""

from __future__ import annotations

import itertools
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
"""Queries per cell: to tune with, and to measure with under each seed."""

HELD = 1_000
"""Rows held out for queries: those to tune with, then others for every seed."""

MOST_SEEDS = (HELD - TUNED) // MEASURED

K = 10

_NOUNS = 50_000


@dataclass(frozen=True, eq=False)
class Questions:
    """``queries (q, d)`` and ``cells``, each with a filter for every query."""

    queries: NDArray[np.float32]
    cells: Sequence[Cell]


@dataclass(frozen=True, eq=False)
class Bed:
    """Unit vectors ``X (n, d)`` with ``columns`` of length n; the questions to ``tune`` with, and those of each seed.

    All have the same cells, with queries and filters of their own; no query is asked twice.
    """

    name: str
    X: NDArray[np.float32]
    columns: Mapping[str, Any]
    tune: Questions
    seeds: Sequence[Questions]


def debian_sentences(seeds: int, progress: Progress = no_progress) -> Bed:
    """Return Debian's packages as vectors of MiniLM, 384-d."""
    data = load_debian(progress=progress)
    return _packages("debian", by_encoder("debian", data.X.tolist(), progress), data.attributes, seeds)


def debian_words(seeds: int, progress: Progress = no_progress) -> Bed:
    """Return Debian's packages as tf-idf reduced to 256-d."""
    data = load_debian(progress=progress)
    return _packages("debian-words", by_words("debian", data.X.tolist(), progress=progress), data.attributes, seeds)


def glosses(seeds: int, progress: Progress = no_progress) -> Bed:
    """Return 50,000 nouns of WordNet, words and gloss as vectors of MiniLM, 384-d; queries are words without gloss."""
    made = load_gloss_vectors(_NOUNS, progress=progress)  # those of the claims of filtered search
    nouns, rows = made.nouns, made.kept
    columns = {
        "kind": [LEXICOGRAPHER_CLASSES[kind] for kind in nouns.classes[rows].tolist()],
        "length": np.array([len(nouns.glosses[row]) for row in rows.tolist()]),
        "synset": rows,
        "words": [tuple(sorted(set(re.findall("[a-z]+", nouns.glosses[row].lower())))) for row in rows.tolist()],
    }
    asked = {"equal": ("kind",), "ranges": ("length", "synset"), "sets": ("words",)}
    return Bed("wordnet", made.rows, columns, *_questions(made.queries, seeds, _drawn(columns, asked)))


def wordnet_words(seeds: int, progress: Progress = no_progress) -> Bed:
    """Return all 117,791 synsets of WordNet, their glosses as tf-idf reduced to 256-d."""
    data = load_glosses(progress=progress)
    X = by_words("wordnet", data.X.tolist(), progress=progress)
    named = {"class": [data.classes[label] for label in data.y], **data.attributes}
    asked = {"equal": ("class", "part_of_speech"), "ranges": ("length", "n_pointers"), "sets": ("words",)}
    return _held_out("wordnet-words", X, named, asked, seeds)


def correlated(seeds: int, progress: Progress = no_progress) -> Bed:
    """Return 1,000,000 rows of 96 dimensions whose ranges follow the query, flee it, or do neither."""
    return _correlated("correlated", 1_000_000, 96, seeds, progress=progress)


def quick(seeds: int, progress: Progress = no_progress) -> Bed:
    """Return 6,000 rows of 32 dimensions, made up, with all kinds of filters."""
    bed = _correlated("quick", 6_000, 32, seeds, progress=progress)
    generator = np.random.default_rng(1)
    groups = np.minimum(generator.zipf(1.3, len(bed.X)), 400)
    columns = {
        **bed.columns,
        "kind": [f"g{group}" for group in groups],
        "marks": [tuple(f"m{mark}" for mark in {int(group) % 5, int(group) % 37}) for group in groups],
    }
    draw = _drawn(columns, {"equal": ("kind",), "ranges": ("anywhere",), "sets": ("marks",)})

    def more(seed: int, questions: Questions) -> Questions:
        drawn = [cell for cell in draw(seed, range(len(questions.queries))) if cell.share in (0.2, 0.01)]
        return replace(questions, cells=[*drawn, *(cell for cell in questions.cells if cell.share == SHARES[2])])

    asked = [more(seed, questions) for seed, questions in enumerate((bed.tune, *bed.seeds))]
    return replace(bed, columns=columns, tune=asked[0], seeds=asked[1:])


BEDS: Mapping[str, Callable[[int, Progress], Bed]] = {
    "debian-words": debian_words,
    "wordnet": glosses,
    "wordnet-words": wordnet_words,
    "correlated": correlated,
}
"""The data sets of the full run by name."""

OTHERS: Mapping[str, Callable[[int, Progress], Bed]] = {"debian": debian_sentences, "quick": quick}
"""Those that one asks for: one whose vectors take ten minutes to make, and that of the short run."""

FOLDERS: Mapping[str, Callable[..., SearchTask]] = {
    "arxiv-em": partial(load_arxiv_fanns, kind="em"),
    "arxiv-r": partial(load_arxiv_fanns, kind="r"),
    "arxiv-emis": partial(load_arxiv_fanns, kind="emis"),
    "yfcc-10M": load_yfcc,
}
"""Benchmarks in a folder of the user's: asked for as "name:folder"."""


def make(name: str, seeds: int = 1, progress: Progress = no_progress) -> Bed:
    """Return a bed by its name, or by "name:folder" for a benchmark that the user has."""
    kind, colon, folder = name.partition(":")
    if colon:
        return from_task(name, FOLDERS[kind](folder, progress=progress), seeds)
    return {**BEDS, **OTHERS}[name](seeds, progress)


def from_task(name: str, task: SearchTask, seeds: int = 1) -> Bed:
    """Return the bed of a published benchmark: its filters are one cell, its rows are scaled to unit length.

    Every seed takes queries of its own. Their neighbours are found anew, since ours are by angle among the rows that
    pass.
    """
    total = TUNED + seeds * MEASURED
    if len(task.queries) < total:
        raise InputError("data", got=f"{len(task.queries)} queries", expected=f"{total}, to tune and to measure with")
    X, queries = (direction(np.asarray(some, dtype=np.float32)) for some in (task.X, task.queries[:total]))
    kind = name.partition(":")[0]

    def draw(seed: int, rows: range) -> list[Cell]:
        return [Cell(kind, float("nan"), [_expression(task.asked[row]) for row in rows])]

    return Bed(name, X, task.columns, *_questions(queries, seeds, draw))


def _expression(asked: Sequence[tuple[str, str, Any]]) -> Expr:
    parts = [_part(*one) for one in asked]
    return reduce(and_, parts)


def _part(column: str, operator: str, value: Any) -> Expr:
    if operator == "between":
        return F(column).between(*value)
    return F(column).contains(value) if operator == "contains" else F(column) == value


def _packages(name: str, X: NDArray[np.float32], attributes: Mapping[str, Any], seeds: int) -> Bed:
    asked = {
        "equal": ("section", "architecture", "maintainer"),
        "ranges": ("installed_size", "size"),
        "sets": ("tags", "depends"),
    }
    return _held_out(name, X, attributes, asked, seeds)


def _held_out(
    name: str, X: NDArray[np.float32], columns: Mapping[str, Any], asked: Mapping[str, Sequence[str]], seeds: int
) -> Bed:
    """Take queries out of the rows, and draw filters from the values of those that stay, in the columns asked of."""
    wanted = list(itertools.chain.from_iterable(asked.values()))
    held = np.random.default_rng(0).choice(len(X), HELD, replace=False)
    rest = np.setdiff1d(np.arange(len(X)), held)
    kept = {column: _taken(columns[column], rest) for column in wanted}
    return Bed(name, np.ascontiguousarray(X[rest]), kept, *_questions(X[held], seeds, _drawn(kept, asked)))


def _taken(values: Any, rows: IntArray) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]


Draw = Callable[[int, range], list[Cell]]
"""Returns the cells of a seed (0: those to tune with) for these of the queries."""


def _questions(queries: NDArray[np.float32], seeds: int, draw: Draw) -> tuple[Questions, list[Questions]]:
    """Return what to tune with, and the questions of every seed: the next queries, with filters drawn anew."""
    ends = [0, TUNED, *(TUNED + MEASURED * (seed + 1) for seed in range(seeds))]
    parts = [range(start, stop) for start, stop in itertools.pairwise(ends)]
    made = [
        Questions(np.ascontiguousarray(queries[part.start : part.stop]), draw(seed, part))
        for seed, part in enumerate(parts)
    ]
    return made[0], made[1:]


def _drawn(columns: Mapping[str, Any], asked: Mapping[str, Sequence[str]]) -> Draw:
    """Return what draws filters from the values that the columns hold."""
    drawer = Drawer(columns, len(next(iter(columns.values()))))
    return lambda seed, rows: drawer.cells(np.random.default_rng(seed), len(rows), **asked)


def _correlated(name: str, n: int, d: int, seeds: int, *, progress: Progress) -> Bed:
    progress("draw rows", 0, 1)
    made = correlated_rows(n + HELD, d, random_state=0)

    def draw(_: int, rows: range) -> list[Cell]:
        inside = slice(n + rows.start, n + rows.stop)
        near, place = made.anywhere[inside], made.place[inside]
        cells = []
        for share in SHARES:
            cells += [
                Cell("R, zero", share, around("anywhere", near, share)),
                Cell("R, positive", share, around("place", place, share)),
                Cell("R, negative", share, around("place", (place + 0.5) % 1.0, share)),
            ]
        return sorted(cells, key=lambda cell: cell.kind)

    columns = {"anywhere": made.anywhere[:n].copy(), "place": made.place[:n].copy()}
    progress("draw rows", 1, 1)
    return Bed(name, made.X[:n].copy(), columns, *_questions(made.X[n:], seeds, draw))
