"""The parts of an audit that compare neighbours with labels: separability, retrieval, confusions, other columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from spaceform.errors import InputError
from spaceform.metrics.retrieval import retrieval
from spaceform.metrics.separability import class_silhouette, fisher_ratio, majority_vote
from spaceform.space import Space
from spaceform.types import BoolArray, FloatArray, IntArray
from spaceform.workflows.auditing.ground import Ground, search
from spaceform.workflows.auditing.shape import Pair, pair_of

VOTERS = 5
SILHOUETTES = 2_000
"""Rows over which the silhouette is averaged: its standard error is then below 0.01."""

ASKED = 5_000
"""Queries of the retrieval figures in Spaces larger than the sample: their standard error is then below 0.01."""

RANKS = (1, 5, 10)
SHOWN_CONFUSIONS = 20
SHOWN_EXAMPLES = 3
MAX_COLUMNS = 12


@dataclass(frozen=True, kw_only=True)
class Separability:
    """How labelled classes separate; see ``spaceform.metrics.separability`` for each figure.

    ``chance`` is the share of pairs of rows that have the same class: what ``thornton_index`` would be if neighbours
    knew nothing. ``fisher_ratio`` is None when no class has any spread. ``singletons`` are classes of one row.
    """

    rows: int
    n_classes: int
    singletons: int
    thornton_index: float
    knn_accuracy: float
    silhouette: float
    fisher_ratio: float | None
    chance: float


@dataclass(frozen=True, kw_only=True)
class RetrievalFigures:
    """Retrieval among the ``rows`` of ``n_classes``, over the ``queries`` that have something to find."""

    rows: int
    n_classes: int
    queries: int
    recall_at: Mapping[str, float]
    map_at_r: float


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Two classes whose rows are each other's neighbours: ``share`` of their nearest rows are of the other class.

    A row's nearest rows are here as many as its class has other rows (twenty at most): if all were found they would
    be its own class.
    """

    classes: tuple[str, str]
    share: float
    examples: list[Pair] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ColumnFigures:
    """How well nearest neighbours agree in one column.

    ``relation`` to the label: ``label`` itself, ``coarser`` (every class has one value), ``finer`` (every value has
    one class) or ``free``. ``corrected`` is ``agreement`` beyond ``chance``, 0 for none and 1 for always;
    ``beyond_label`` the same among nearest neighbours of ANOTHER class: what the column adds by itself.
    """

    name: str
    relation: str
    n_classes: int
    rows: int
    agreement: float
    chance: float
    corrected: float
    beyond_label: float | None


def separate(ground: Ground, y: IntArray) -> Separability:
    """Measure the labelled classes ``y (n,)``; neighbours are searched among labelled rows only."""
    pool = ground.pool[y[ground.pool] >= 0]
    counts = np.bincount(y[pool])
    counts = counts[counts > 0]
    if len(counts) < 2:
        raise InputError("label", got=f"{len(counts)} class(es)", expected="at least 2 classes")
    queries, neighbors = _labelled_lists(ground, y, pool)
    own, few = y[queries], ground.draw(queries, SILHOUETTES, "silhouette")
    try:
        ratio = fisher_ratio(ground.X[pool], y[pool])
    except InputError:
        ratio = None
    return Separability(
        rows=len(queries),
        n_classes=len(counts),
        singletons=int((counts == 1).sum()),
        thornton_index=float((y[neighbors[:, 0]] == own).mean()),
        knn_accuracy=float((majority_vote(y[neighbors[:, :VOTERS]]) == own).mean()),
        silhouette=class_silhouette(ground.X[pool], y[pool], rows=np.searchsorted(pool, few)),
        fisher_ratio=ratio,
        chance=_chance(counts),
    )


def retrieve(ground: Ground, y: IntArray, seen: BoolArray | None) -> dict[str, RetrievalFigures]:
    """Measure retrieval among all labelled rows and, when ``seen`` is known, among seen and unseen classes apart."""
    parts = {"all": y >= 0}
    if seen is not None:
        parts |= {"seen": parts["all"] & seen, "unseen": parts["all"] & ~seen}
    found = {name: _retrieve(ground, ground.X, y, np.flatnonzero(mask)) for name, mask in parts.items()}
    made = {name: figures for name, figures in found.items() if figures is not None}
    if not made:
        raise InputError("label", got="no class with two rows", expected="a class whose rows can find each other")
    return made


def retrieve_floors(
    ground: Ground, y: IntArray, floors: Mapping[str, FloatArray], *, seen: BoolArray | None
) -> dict[str, RetrievalFigures]:
    """Measure the same retrieval for other vectors of the same rows, on unseen classes if there are any."""
    mask = y >= 0 if seen is None or not (~seen & (y >= 0)).any() else ~seen & (y >= 0)
    rows = np.flatnonzero(mask)
    found = {name: _retrieve(ground, vectors, y, rows) for name, vectors in floors.items()}
    return {name: figures for name, figures in found.items() if figures is not None}


def confuse(ground: Ground, y: IntArray, classes: Sequence[str]) -> list[Confusion]:
    """Return the pairs of classes whose rows most often stand among each other's neighbours, with example rows.

    The first row of every example is of the first class of its pair.
    """
    if not len(classes):
        return []
    own = y[ground.queries]
    room = np.maximum(np.bincount(y[ground.pool][y[ground.pool] >= 0], minlength=len(classes)) - 1, 1)
    ranks = np.arange(ground.neighbors.shape[1])
    wanted = (own >= 0)[:, None] & (ranks < room[own][:, None]) & (y[ground.neighbors] >= 0)
    at, place = np.nonzero(wanted)
    heads, tails = ground.queries[at], ground.neighbors[at, place]
    listed = np.bincount(y[heads], minlength=len(classes))
    crossing = y[heads] != y[tails]
    heads, tails, lengths = heads[crossing], tails[crossing], ground.distances[at, place][crossing]
    low, high = np.minimum(y[heads], y[tails]), np.maximum(y[heads], y[tails])
    codes, counts = np.unique(low * len(classes) + high, return_counts=True)
    shares = counts / (listed[codes // len(classes)] + listed[codes % len(classes)])
    order = np.lexsort((codes, -shares))[:SHOWN_CONFUSIONS]
    pairs = set(zip(heads.tolist(), tails.tolist(), strict=True))
    asked = set(ground.queries.tolist())
    found = []
    for code, share in zip(codes[order].tolist(), shares[order].tolist(), strict=True):
        a, b = divmod(code, len(classes))
        both = np.flatnonzero((low == a) & (high == b))
        nearest = both[np.argsort(lengths[both], kind="stable")]
        edges = [(int(heads[e]), int(tails[e]), float(lengths[e])) for e in nearest]
        examples = [_in_order(pair, y, a) for pair in _examples(ground, edges, pairs, asked)]
        found.append(Confusion(classes=(classes[a], classes[b]), share=share, examples=examples))
    return found


def compare_columns(ground: Ground, space: Space, y: IntArray | None, *, label: str | None) -> list[ColumnFigures]:
    """Measure every column that names groups of rows, the label first, so that what else the vectors know shows."""
    made: list[ColumnFigures] = []
    names = [label] if label is not None else []
    made_by_methods = {label, "seen", *space.info.get("derived", [])}
    for name in [*names, *(name for name in space.columns if name not in made_by_methods)][: 4 * MAX_COLUMNS]:
        codes = y if name == label and y is not None else _group_codes(space, name, ground)
        if codes is None or len(made) == MAX_COLUMNS:
            continue
        relation = "label" if name == label else _relation(codes, y)
        figures = _column(ground, name, codes, relation, y) if relation != "same" else None
        made += [figures] if figures is not None else []
    return made


def _labelled_lists(ground: Ground, y: IntArray, pool: IntArray) -> tuple[IntArray, IntArray]:
    queries = ground.queries[y[ground.queries] >= 0]
    if len(pool) == len(ground.pool):
        return queries, ground.neighbors
    queries = ground.draw(pool, len(ground.queries), "labelled")
    return queries, search(ground.X, queries, pool, k=min(VOTERS, len(pool) - 1))[0]


def _chance(counts: IntArray) -> float:
    total = counts.sum()
    return float((counts * (counts - 1.0)).sum() / (total * (total - 1.0)))


def _retrieve(ground: Ground, X: FloatArray, y: IntArray, rows: IntArray) -> RetrievalFigures | None:
    """Every row against the others; of many rows a sample is asked for among the rest. None: nothing to be found."""
    rows = rows[np.isin(rows, ground.pool)]
    everything = len(ground.queries) == len(ground.X)
    queries = rows if everything else ground.draw(rows, min(ASKED, len(ground.queries)), "retrieval")
    rest = np.setdiff1d(rows, queries) if len(queries) < len(rows) else rows
    ks = [k for k in RANKS if k < len(rest)]
    if not ks:
        return None
    apart = len(queries) < len(rows)
    gallery, gallery_labels = (X[rest], y[rest]) if apart else (None, None)
    try:
        found = retrieval(X[queries], y[queries], ks=ks, gallery=gallery, gallery_labels=gallery_labels)
    except InputError:
        return None
    return RetrievalFigures(
        rows=len(rows),
        n_classes=len(np.unique(y[rows])),
        queries=found.n_queries,
        recall_at={str(k): share for k, share in found.recall_at.items()},
        map_at_r=found.map_at_r,
    )


def _examples(
    ground: Ground, edges: list[tuple[int, int, float]], pairs: set[tuple[int, int]], asked: set[int]
) -> list[Pair]:
    """The nearest pairs of rows, those first that are each other's neighbours; every row shown once."""
    known = [(i, j, distance, (j, i) in pairs if j in asked else None) for i, j, distance in edges]
    shown: set[int] = set()
    examples: list[Pair] = []
    for i, j, distance, mutual in sorted(known, key=lambda edge: edge[3] is not True):
        if len(examples) < SHOWN_EXAMPLES and not shown & {i, j}:
            shown |= {i, j}
            examples.append(pair_of(ground, (i, j), distance, mutual=mutual))
    return examples


def _in_order(pair: Pair, y: IntArray, first: int) -> Pair:
    """Return the pair with the row of class ``first`` in front."""
    return pair if y[pair.rows[0]] == first else replace(pair, rows=pair.rows[::-1], ids=pair.ids[::-1])


def _group_codes(space: Space, name: str, ground: Ground) -> IntArray | None:
    """Codes of a column that names groups: text, booleans or integers, with two rows a group on average."""
    kind = str(space.table.schema.field(name).type)
    if not kind.startswith(("string", "large_string", "bool", "int", "uint", "dictionary")):
        return None
    codes, values = space.labels(name)
    known = codes[ground.pool] >= 0
    return codes if 2 <= len(values) <= known.sum() / 2 else None


def _relation(codes: IntArray, y: IntArray | None) -> str:
    if y is None:
        return "free"
    both = (codes >= 0) & (y >= 0)
    pairs = len(np.unique(np.stack([codes[both], y[both]]), axis=1).T)
    values, classes = len(np.unique(codes[both])), len(np.unique(y[both]))
    if pairs == values == classes:
        return "same"
    return "coarser" if pairs == classes else "finer" if pairs == values else "free"


def _column(ground: Ground, name: str, codes: IntArray, relation: str, y: IntArray | None) -> ColumnFigures | None:
    counts = np.bincount(codes[ground.pool][codes[ground.pool] >= 0])
    first = ground.neighbors[:, 0]
    known = (codes[ground.queries] >= 0) & (codes[first] >= 0)
    if (counts > 0).sum() < 2 or not known.any():
        return None
    chance = _chance(counts[counts > 0])
    agreement = float((codes[ground.queries] == codes[first])[known].mean())
    beyond = None
    if y is not None and relation in {"free", "coarser"}:
        beyond = _beyond_label(ground, codes, y, chance)
    return ColumnFigures(
        name=name,
        relation=relation,
        n_classes=int((counts > 0).sum()),
        rows=int(known.sum()),
        agreement=agreement,
        chance=chance,
        corrected=(agreement - chance) / (1 - chance),
        beyond_label=beyond,
    )


def _beyond_label(ground: Ground, codes: IntArray, y: IntArray, chance: float) -> float | None:
    """Agreement beyond chance with the nearest listed neighbour of another class; None when no list has one."""
    lists = ground.neighbors
    other = (y[lists] != y[ground.queries][:, None]) & (y[lists] >= 0) & (codes[lists] >= 0)
    usable = other.any(1) & (y[ground.queries] >= 0) & (codes[ground.queries] >= 0)
    if not usable.any():
        return None
    nearest = lists[usable, other[usable].argmax(1)]
    agreement = float((codes[nearest] == codes[ground.queries][usable]).mean())
    return (agreement - chance) / (1 - chance)
