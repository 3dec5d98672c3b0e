"""What a store checks of questions and answers: filters at the door, rows that were found, and their scores."""

from __future__ import annotations

import numpy as np

from spaceform.errors import FilterError
from spaceform.search.filter_logic import Chain
from spaceform.search.filters import Between, Comparison, Contains, Expr, In, Like, Literal, Not, as_expression
from spaceform.search.stores.collection import Collection
from spaceform.search.stores.engine import Rows, Vectors
from spaceform.types import FloatArray, IntArray


def check_filter(where: str | Expr | None, collection: Collection) -> Expr:
    """Return the filter with its literals fitted to the fields; ``FilterError`` where it does not fit."""
    if where is not None and not isinstance(where, str | Expr):
        raise FilterError("where", got=f"{where!r:.60}", expected="a condition, as text or expression")
    expr = as_expression(where).check(collection.schema)
    if any("\0" in text for text in _texts(expr)):
        raise FilterError("where", got="text with a NUL character", expected="text that a field can hold")
    return expr


def _texts(expr: Expr) -> list[str]:
    match expr:
        case Chain(parts=parts):
            return [text for part in parts for text in _texts(part)]
        case Not(part=part):
            return _texts(part)
        case Contains(texts=texts):
            return list(texts)
        case Like(pattern=pattern):
            return [pattern]
    literals: tuple[Literal, ...] = ()
    match expr:
        case Comparison(value=value):
            literals = (value,)
        case In(values=values):
            literals = values
        case Between(low=low, high=high):
            literals = (low, high)
    return [one.value for one in literals if isinstance(one.value, str)]


def violation(found: IntArray, rows: Rows, expr: Expr) -> str:
    """Say which of the rows found ``(q, k)`` is none that was asked for; empty text if all are."""
    for ids in found:
        if len(np.unique(ids[ids >= 0])) < (ids >= 0).sum():
            return "the engine found a row twice"
    gone = np.setdiff1d(found[found >= 0], rows.ids)
    if len(gone):
        return f"row {gone[0]}, which the engine found, is not there"
    passing = rows.passing(expr)
    if not passing.all():
        return f"row {rows.ids[~passing][0]}, which the engine found, does not pass the filter"
    return ""


def scored(found: IntArray, rows: Rows, queries: Vectors, *, metric: str) -> tuple[IntArray, FloatArray]:
    """Return ids ``(q, k)`` and scores, nearest first and ties by id, from the vectors of the rows; O(q k d).

    Engines round, square and turn the sign of scores each in its own way; these are in float64.
    """
    ids, scores = np.full(found.shape, -1, np.int64), np.full(found.shape, -np.inf)
    for row, (listed, query) in enumerate(zip(found, queries.astype(np.float64), strict=True)):
        own = listed[listed >= 0]
        vectors = rows.vectors[np.searchsorted(rows.ids, own)].astype(np.float64)
        if metric == "euclidean":
            closeness = -np.linalg.norm(vectors - query, axis=1)
        else:
            closeness = vectors @ query
        if metric == "cosine":
            norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
            closeness = np.clip(closeness / norms, -1.0, 1.0)
        order = np.lexsort((own, -closeness))
        ids[row, : len(own)], scores[row, : len(own)] = own[order], closeness[order]
    return ids, scores
