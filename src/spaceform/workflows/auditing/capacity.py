"""The part of an audit that asks whether single vectors can return what judgements of relevance ask for, and from which
dimension on. Vectors are optimised on the judgements alone, the most favourable case; beside them stand what is proven.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt
from typing import TypeAlias

import numpy as np

from spaceform.data.judged.jsonl import QRELS, read_pairs
from spaceform.data.layouts.benchmarks.text_files import benchmark_file
from spaceform.data.layouts.source import existing
from spaceform.errors import InputError
from spaceform.geometry.poincare import log0
from spaceform.methods.vector_search.limit import free_embedding, least_dimension
from spaceform.metrics.relevance.sets import set_margins
from spaceform.ops.capacity.bounds import largest_margin, sign_rank_bounds
from spaceform.ops.capacity.moment_curve import moment_curve_embedding
from spaceform.ops.pairs import row_blocks, squared_distances
from spaceform.rng import derive_seed
from spaceform.space import Space
from spaceform.training.free_vectors.optimiser import FreeOptimiser
from spaceform.types import BoolArray, FloatArray, IntArray, PathLike, Progress, no_progress
from spaceform.workflows.auditing.ground import Ground

Judgements: TypeAlias = Mapping[str, Sequence[str]]
"""Ids of relevant rows by query id."""

CELLS = 200_000
"""Entries of the table that vectors are optimised on; of more, queries are drawn."""

OPTIMISER = FreeOptimiser(max_steps=3_000, patience=500)
"""Fewer steps than the paper's 100,000: a dimension may suffice where these do not reach it, never the reverse."""

WIDE = FreeOptimiser(max_steps=500, stop_when_exact=False)
"""How the gap is widened once a dimension is known to suffice."""

WIDTH = 32
"""Dimensions of that, or twice those that suffice, but never more than the Space has."""

CURVE = 64
"""Largest set for which the construction is tried: beyond, its gap is below rounding."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """In ``d`` dimensions optimised vectors returned a share ``accuracy`` of sets; ``gap``: of the worst query."""

    d: int
    accuracy: float
    gap: float


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """Whether ``queries``, each wanting up to ``largest_set`` of the ``documents`` that are judged, can be served.

    ``judged``: queries with judgements, of which ``queries`` were looked at. Some dimension from ``rank_low`` to
    ``rank_high`` suffices at some margin. ``needed``: the least dimension, up to the Space's, in which optimised
    vectors returned every set (None: none did; ``best_accuracy`` is what they reached). ``widest_gap``: no unit vectors
    of the Space's dimension have a wider one; ``constructed_gap``: that of the moment curve in twice ``largest_set``
    dimensions (None: not told from rounding). ``returned`` and ``recall`` are of the given query vectors, among all
    rows of the Space (None: no vectors). ``tried`` ascends in d; where a dimension sufficed, in its last vectors were
    optimised further for a wide gap.
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Questions:
    """What is asked of a Space: row numbers relevant to each of the queries ``names``, ascending, and their vectors.

    ``cosine``: the Space ranks by angle; else by distance, which is an inner product of one dimension more.
    """

    names: list[str]
    sets: list[IntArray] = field(repr=False)
    vectors: FloatArray | None = field(default=None, repr=False)
    cosine: bool = False


def read_questions(
    space: Space, judgements: PathLike | Judgements | None, queries: Space | PathLike | None = None
) -> Questions | None:
    """Return the judgements of a mapping or a file, and the vectors of their queries; None where nothing is asked.

    Raises ``InputError`` for queries without judgements, unknown ids, no judgement, a query to which every row is
    relevant, and query vectors that lack one or do not fit. O(judgements + rows).
    """
    if judgements is None:
        if queries is not None:
            raise InputError("judgements", got="none", expected="which rows are relevant to which of the queries")
        return None
    names, sets = _judged(judgements, [str(name) for name in space.ids])
    full = [name for name, rows in zip(names, sets, strict=True) if len(rows) == len(space)]
    if full:
        raise InputError(f"judgements[{full[0]!r}]", got="every row", expected="a row that is not relevant")
    vectors = None
    if queries is not None:
        vectors = _query_vectors(space, names, queries if isinstance(queries, Space) else Space.open(queries))
    return Questions(names=names, sets=sets, vectors=vectors, cosine=space.geometry == "sphere")


def find_capacity(ground: Ground, questions: Questions, *, progress: Progress = no_progress) -> Capacity:
    """Ask what single vectors can return; see :class:`Capacity`.

    Of rows that nobody judged one stands for all. Queries are drawn when the table of queries and judged rows has more
    than `CELLS` entries. O(steps * queries * documents * d) for each of about 2 log d dimensions.
    """
    judged = len(questions.sets)
    chosen = _drawn(ground, questions.sets)
    table = _table(ground, [questions.sets[row] for row in chosen])
    counts, distinct = table.sum(1), np.unique(table, axis=0)
    dim = ground.X.shape[1]
    seed = derive_seed(ground.seed, "audit", "vectors")
    needed, tried = least_dimension(distinct, high=dim, optimiser=OPTIMISER, random_state=seed, progress=progress)
    if needed is not None:
        wide = min(dim, max(WIDTH, 2 * needed))
        tried[wide] = free_embedding(distinct, wide, optimiser=WIDE, random_state=seed, progress=progress)
    bounds = sign_rank_bounds(distinct)
    returned, recall = (
        (None, None) if questions.vectors is None else _realised(ground, questions.sets, questions.vectors)
    )
    return Capacity(
        judged=judged,
        queries=len(chosen),
        documents=int(table.any(0).sum()),
        largest_set=int(counts.max()),
        rank_low=bounds.lower if questions.cosine else max(1, bounds.lower - 1),
        rank_high=bounds.upper if needed is None else min(bounds.upper, needed),
        needed=needed,
        best_accuracy=max(one.accuracy for one in tried.values()),
        widest_gap=2 * largest_margin(int(np.bincount(distinct.sum(1)).max()), dim),
        constructed_gap=_constructed(distinct),
        tried=[Tried(d=d, accuracy=one.accuracy, gap=one.margin) for d, one in sorted(tried.items())],
        returned=returned,
        recall=recall,
    )


def _judged(judgements: PathLike | Judgements, ids: list[str]) -> tuple[list[str], list[IntArray]]:
    """Return the queries' ids and the row numbers relevant to each."""
    if not isinstance(judgements, Mapping):
        path = existing(judgements, "judgements")
        names, pairs = read_pairs(benchmark_file(path, *QRELS) if path.is_dir() else path, None, ids)
        pairs = pairs[np.lexsort(pairs.T[::-1])]
        return names, np.split(pairs[:, 1], np.searchsorted(pairs[:, 0], np.arange(1, len(names))))
    rows = {name: row for row, name in enumerate(ids)}
    names, sets = [], []
    for query, wanted in judgements.items():
        if isinstance(wanted, str):
            raise InputError(f"judgements[{query!r}]", got=f"one text {wanted!r}", expected="a list of ids")
        unknown = [name for name in wanted if str(name) not in rows]
        if unknown or not len(wanted):
            got = f"unknown row {unknown[0]!r}" if unknown else "no row"
            raise InputError(f"judgements[{query!r}]", got=got, expected="ids of rows of the Space")
        names.append(str(query))
        sets.append(np.unique([rows[str(name)] for name in wanted]))
    if not sets:
        raise InputError("judgements", got="none", expected="one query or more")
    return names, sets


def _drawn(ground: Ground, sets: Sequence[IntArray]) -> IntArray:
    """Return the queries that are looked at: so many that their table has at most `CELLS` entries."""
    judged = np.concatenate(sets)
    # few queries can't have more rows than their sets have
    room = max(1, CELLS // len(np.unique(judged)), isqrt(CELLS * len(sets) // len(judged)))
    return ground.draw(np.arange(len(sets)), room, "capacity")


def _table(ground: Ground, sets: Sequence[IntArray]) -> BoolArray:
    """Return which query wants which row, of those that are judged and one other, which stands for all others."""
    documents = np.unique(np.concatenate(sets))
    table = np.zeros((len(sets), len(documents) + (len(documents) < len(ground.X))), dtype=bool)
    for row, wanted in zip(table, sets, strict=True):
        row[np.searchsorted(documents, wanted)] = True
    return table


def _constructed(table: BoolArray) -> float | None:
    n, k = table.shape[1], int(table.sum(1).max())
    if k > CURVE or k >= n:
        return None
    curve = moment_curve_embedding(n, k)
    gap = float(set_margins(curve.queries_of(table) @ curve.documents.T, table).min())
    return gap if gap > 0 else None


def _realised(ground: Ground, sets: Sequence[IntArray], asked: FloatArray) -> tuple[float, float]:
    """Return how many sets the given vectors return exactly among all rows, and recall of as many as are relevant."""
    centre = ground.X.mean(0, dtype=np.float64)
    rows, shares = ground.X - centre, []
    for block in row_blocks(len(asked), len(rows), itemsize=32):
        scores = -squared_distances(asked[block] - centre, rows)
        shares += [share_returned(row, wanted) for row, wanted in zip(scores, sets[block], strict=True)]
    return float(np.mean(np.array(shares) == 1)), float(np.mean(shares))


def share_returned(scores: FloatArray, wanted: IntArray) -> float:
    """Return the share of ``wanted`` rows among as many best ones by ``scores (n,)``; a tie counts against them."""
    count = len(wanted)
    own, others = np.sort(scores[wanted])[::-1], np.delete(scores, wanted)
    best = np.sort(np.partition(others, -min(count, len(others)))[-count:])
    before = len(best) - np.searchsorted(best, own)
    return float((before + np.arange(count) < count).mean())


def _query_vectors(space: Space, names: Sequence[str], queries: Space) -> FloatArray:
    places = {str(name): row for row, name in enumerate(queries.ids)}
    lacking = [name for name in names if name not in places]
    if lacking:
        got = f"no vector for query {lacking[0]!r} ({len(lacking):,} such queries)"
        raise InputError("queries", got=got, expected="a row for each judged query, by id")
    if (queries.dim, queries.geometry) != (space.dim, space.geometry):
        got = f"{queries.dim} dimensions, {queries.geometry}"
        raise InputError("queries", got=got, expected=f"{space.dim}, {space.geometry}, as the Space")
    vectors = queries.vectors[[places[name] for name in names]].astype(np.float64)
    return np.asarray(log0(vectors, 1.0)) if queries.geometry == "poincare" else vectors
