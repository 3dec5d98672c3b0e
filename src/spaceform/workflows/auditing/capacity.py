"""The part of an audit that asks whether single vectors can return what judgements of relevance ask for, and from which
dimension on. Vectors are optimised on the judgements alone, the most favourable case; beside them stand what is proven.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from spaceform.data.judged.jsonl import read_pairs
from spaceform.data.layouts.source import existing
from spaceform.errors import InputError
from spaceform.geometry.poincare import log0
from spaceform.methods.vector_search.limit import FreeOptimiser, least_dimension
from spaceform.metrics.relevance.sets import exact_sets, set_margins
from spaceform.ops.capacity.bounds import largest_margin, sign_rank_bounds
from spaceform.ops.capacity.moment_curve import moment_curve_embedding
from spaceform.ops.pairs import row_blocks, squared_distances
from spaceform.rng import as_generator, derive_seed
from spaceform.space import Space
from spaceform.types import BoolArray, FloatArray, PathLike, Progress, no_progress
from spaceform.workflows.auditing.ground import Ground

Judgements: TypeAlias = Mapping[str, Sequence[str]]
"""Ids of relevant rows by query id."""

CELLS = 1_000_000
"""Entries of the table that vectors are optimised on; of more, queries are drawn."""

OPTIMISER = FreeOptimiser(max_steps=3_000, patience=500)
"""Fewer steps than the paper's 100,000: a dimension may suffice where these do not reach it, never the reverse."""

CURVE = 64
"""Largest set for which the construction is tried: beyond, its gap is below rounding."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """In ``d`` dimensions optimised vectors returned a share ``accuracy`` of sets; ``gap`` is that of the worst query."""

    d: int
    accuracy: float
    gap: float


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """Whether ``queries``, each wanting up to ``largest_set`` of the ``documents`` that are judged, can be served.

    ``judged``: queries with judgements, of which ``queries`` were looked at. Some dimension from ``rank_low`` to
    ``rank_high`` suffices at some margin. ``needed``: the least dimension, up to the Space's, in which optimised
    vectors returned every set (None: none did; ``best_accuracy`` is what they reached). ``widest_gap``: no unit vectors of
    the Space's dimension have a wider one; ``constructed_gap``: that of the moment curve in twice ``largest_set``
    dimensions (None: not told from rounding). ``returned`` and ``recall`` are of the given query vectors, among all rows
    of the Space (None: no vectors).
    """

    judged: int
    queries: int
    documents: int
    largest_set: int
    rank_low: int
    rank_high: int
    needed: int | None
    best_accuracy: float
    widest_gap: float
    constructed_gap: float | None
    tried: list[Tried] = field(default_factory=list)
    returned: float | None = None
    recall: float | None = None


def find_capacity(
    ground: Ground,
    judgements: PathLike | Judgements,
    queries: Space | None = None,
    *,
    progress: Progress = no_progress,
) -> Capacity:
    """Ask what single vectors can return; see :class:`Capacity`.

    Rows that nobody judged stand for no question and are left out of the optimisation. Raises ``InputError`` for unknown
    ids, no judgement, queries to which every judged row is relevant, and query vectors that lack one or do not fit.
    O(steps * queries * documents * d) for each of log d dimensions.
    """
    names, sets = _judged(judgements, [str(name) for name in ground.ids])
    judged = len(sets)
    documents = np.unique(np.concatenate(sets))
    room = max(1, CELLS // len(documents))
    chosen = np.arange(judged)
    if judged > room:
        drawn = as_generator(derive_seed(ground.seed, "audit", "capacity")).choice(judged, room, replace=False)
        chosen = np.sort(drawn)
        documents = np.unique(np.concatenate([sets[row] for row in chosen]))
    if len(documents) < len(ground.ids):  # one row that nobody asks for stands for all of them
        unjudged = np.setdiff1d(np.arange(len(ground.ids)), documents)[:1]
        documents = np.concatenate([documents, unjudged])
    table = np.zeros((len(chosen), len(documents)), dtype=bool)
    place = {int(row): column for column, row in enumerate(documents)}
    for row, query in enumerate(chosen):
        table[row, [place[int(document)] for document in sets[query]]] = True
    counts = table.sum(1)
    if counts.max() == table.shape[1]:
        raise InputError("judgements", got="a query with every row", expected="a row that is not relevant")
    distinct = np.unique(table, axis=0)
    seed = derive_seed(ground.seed, "audit", "vectors")
    dim = ground.X.shape[1]
    needed, tried = least_dimension(distinct, high=dim, optimiser=OPTIMISER, random_state=seed, progress=progress)
    bounds = sign_rank_bounds(distinct)
    found = _realised(ground, sets, names, queries) if queries is not None else (None, None)
    return Capacity(
        judged=judged,
        queries=len(chosen),
        documents=int(table.any(0).sum()),
        largest_set=int(counts.max()),
        rank_low=bounds.lower,
        rank_high=bounds.upper,
        needed=needed,
        best_accuracy=max(one.accuracy for one in tried.values()),
        widest_gap=2 * largest_margin(int(np.bincount(distinct.sum(1)).max()), dim),
        constructed_gap=_constructed(distinct),
        tried=[Tried(d=d, accuracy=one.accuracy, gap=one.margin) for d, one in tried.items()],
        returned=found[0],
        recall=found[1],
    )


def _judged(judgements: PathLike | Judgements, ids: list[str]) -> tuple[list[str], list[np.ndarray]]:
    """Return the queries' ids and the row numbers relevant to each."""
    if not isinstance(judgements, Mapping):
        path = existing(judgements, "judgements")
        names, pairs = read_pairs(path / "qrels.jsonl" if path.is_dir() else path, None, ids)
        return names, [pairs[pairs[:, 0] == query, 1] for query in range(len(names))]
    rows = {name: row for row, name in enumerate(ids)}
    names, sets = [], []
    for query, wanted in judgements.items():
        unknown = [name for name in wanted if str(name) not in rows]
        if unknown or not len(wanted):
            got = f"unknown row {unknown[0]!r}" if unknown else "no row"
            raise InputError(f"judgements[{query!r}]", got=got, expected="ids of rows of the Space")
        names.append(str(query))
        sets.append(np.unique([rows[str(name)] for name in wanted]))
    if not sets:
        raise InputError("judgements", got="none", expected="one query or more")
    return names, sets


def _constructed(table: BoolArray) -> float | None:
    n, k = table.shape[1], int(table.sum(1).max())
    if k > CURVE or k >= n:
        return None
    curve = moment_curve_embedding(n, k)
    gap = float(set_margins(curve.queries_of(table) @ curve.documents.T, table).min())
    return gap if gap > 0 else None


def _realised(ground: Ground, sets: list[np.ndarray], names: list[str], queries: Space) -> tuple[float, float]:
    """Return how many sets the given vectors return exactly among all rows, and the recall of as many as are relevant."""
    asked = _query_vectors(ground, names, queries)
    exact = recall = 0.0
    for block in row_blocks(len(asked), len(ground.X), itemsize=32):
        table = np.zeros((block.stop - block.start, len(ground.X)), dtype=bool)
        for row, wanted in enumerate(sets[block]):
            table[row, wanted] = True
        centre = ground.X.mean(0, dtype=np.float64)
        scores = -squared_distances(asked[block] - centre, ground.X - centre)
        exact += float(exact_sets(scores, table).sum())
        ranked = np.lexsort((table, -scores), axis=1)  # a tie counts against the query
        hits = np.take_along_axis(table, ranked, 1)
        counts = table.sum(1)
        recall += float((np.cumsum(hits, axis=1)[np.arange(len(counts)), counts - 1] / counts).sum())
    return exact / len(asked), recall / len(asked)


def _query_vectors(ground: Ground, names: list[str], queries: Space) -> FloatArray:
    places = {str(name): row for row, name in enumerate(queries.ids)}
    lacking = [name for name in names if name not in places]
    if lacking:
        got = f"no vector for query {lacking[0]!r} ({len(lacking):,} such queries)"
        raise InputError("queries", got=got, expected="a row for each judged query, by id")
    if queries.dim != ground.X.shape[1]:
        raise InputError("queries", got=f"{queries.dim} dimensions", expected=f"{ground.X.shape[1]}, as the Space")
    vectors = queries.vectors[[places[name] for name in names]].astype(np.float64)
    return np.asarray(log0(vectors, 1.0)) if queries.geometry == "poincare" else vectors

