"""Where a query lies in a Space: at a row, at a vector, at a text or at a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from spaceform.checks import check_matrix
from spaceform.errors import InputError
from spaceform.geometry import PoincareBall
from spaceform.space import Space
from spaceform.space_rows import ID
from spaceform.types import FloatArray, IntArray
from spaceform.workflows.searching.words import RowWords, match_words, text_columns

Encode: TypeAlias = Callable[[Sequence[str]], ArrayLike]
"""What turns texts into vectors ``(n, dim)`` of the Space."""

Vectors: TypeAlias = Callable[[IntArray], FloatArray]
"""What gives the vectors ``(m, dim)`` of rows by their positions."""

MAX_ANCHORS = 32
"""Rows that may stand for a text: enough for a mean, few enough to be one thing."""

ANCHOR_SHARE = 0.8
"""Rows that match the words at least so well, as a share of the best score, stand for the text."""


@dataclass(frozen=True)
class Place:
    """The ``vector (dim,)`` to search around, and how it was found.

    ``way`` is ``"id"``, ``"vector"``, ``"encoder"``, ``"words"`` or ``"picture"``; ``anchors`` are the ids of the rows
    that stand for the query, ``rows`` their positions; ``own`` is the position of the row that is the query itself,
    which is no answer to it.
    """

    way: str
    vector: FloatArray
    anchors: tuple[str, ...] = ()
    own: int | None = None
    rows: tuple[int, ...] = ()


def place_query(
    space: Space,
    query: str | ArrayLike,
    *,
    encode: Encode | None = None,
    vectors: Vectors | None = None,
    words: RowWords | None = None,
) -> Place:
    """Return where a row's id, a text or a vector lies; O(n words).

    A text is embedded by ``encode``; without it, it lies at the mean of the rows whose attributes match its words best.
    ``vectors`` gives those of rows, and ``words`` theirs, where that is faster than reading the Space.
    Raises ``InputError`` for a query that is nothing of the kind, words that no row has, and what ``encode`` returns
    if it does not fit.
    """
    if not isinstance(query, str):
        return Place("vector", _checked(space, query, "query", "a row id, a text, or a vector"))
    own = row_of(space, query)
    if own >= 0:
        return place_row(space, own, vectors=vectors)
    if not query.strip() or not _is_text(query):
        raise InputError("query", got=repr(query), expected="a row id, some words, or a vector")
    if encode is not None:
        return Place("encoder", _encoded(space, encode([query]), "encode", "one text"))
    rows, scores = match_words(space.table, query) if words is None else words.match(query)
    if not len(rows):
        raise _unmatched(space, query)
    rows = np.sort(rows[scores >= ANCHOR_SHARE * scores[0]][:MAX_ANCHORS])
    return Place(
        "words", _middle(_read(space, rows, vectors), space.geometry), _names(space, rows), None, tuple(rows.tolist())
    )


def place_row(space: Space, row: int, *, vectors: Vectors | None = None) -> Place:
    """Return where the row at a position lies."""
    rows = np.array([row])
    return Place("id", _read(space, rows, vectors)[0], _names(space, rows), row, (row,))


def place_picture(space: Space, picture: bytes, *, encode: Callable[[bytes], ArrayLike]) -> Place:
    """Return where an encoded picture lies, by what turns one into vectors ``(1, dim)`` of the Space."""
    return Place("picture", _encoded(space, encode(picture), "image", "one picture"))


def row_of(space: Space, name: str) -> int:
    """Return the position of the row with the id ``name``, or -1; O(n)."""
    return int(pc.index(space.table[ID], name).as_py()) if _is_text(name) else -1


def _read(space: Space, rows: IntArray, vectors: Vectors | None) -> FloatArray:
    return space.select(rows).vectors if vectors is None else vectors(rows)


def _names(space: Space, rows: IntArray) -> tuple[str, ...]:
    return tuple(space.table[ID].take(rows).to_pylist())


def _middle(rows: FloatArray, geometry: str) -> FloatArray:
    """Return the mean of the rows: in the ball its own, elsewhere that of the coordinates (cosine ignores lengths)."""
    points = rows.astype(np.float64)
    if geometry == "poincare":
        return PoincareBall().mean(points)
    mean: FloatArray = points.mean(axis=0)
    balanced = geometry == "sphere" and float(np.linalg.norm(mean)) < 1e-6  # opposite rows have no middle
    return points[0] if balanced else mean


def _encoded(space: Space, vectors: ArrayLike, argument: str, of: str) -> FloatArray:
    encoded = np.asarray(vectors)
    if encoded.ndim != 2 or len(encoded) != 1:
        raise InputError(argument, got=f"shape {encoded.shape}", expected=f"(1, {space.dim}) for {of}")
    return _checked(space, encoded[0], argument, "vectors")


def _checked(space: Space, vector: ArrayLike, argument: str, expected: str) -> FloatArray:
    """Return one finite vector of the Space's dimension."""
    try:
        array = np.asarray(vector, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(argument, got=type(vector).__name__, expected=f"{expected} of {space.dim} numbers") from error
    if array.shape != (space.dim,):
        raise InputError(argument, got=f"shape {array.shape}", expected=f"{expected} of {space.dim} numbers")
    return check_matrix(array[None], argument)[0]


def _unmatched(space: Space, query: str) -> InputError:
    columns = text_columns(space.table)
    example = repr(space.table[ID][0].as_py())
    if not columns:
        return InputError("query", got=repr(query), expected=f"a row id such as {example}: no attribute is text")
    listed = ", ".join(map(repr, columns[:10]))
    return InputError(
        "query", got=f"{query!r}, which no row matches", expected=f"words of {listed}, or a row id such as {example}"
    )


def _is_text(query: str) -> bool:
    """Whether it is valid Unicode: bytes from a shell may not be."""
    try:
        query.encode()
    except UnicodeEncodeError:
        return False
    return True
