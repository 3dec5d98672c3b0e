"""Search a Space: what lies near a row, a vector or a text, among the rows that a filter lets through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_matrix
from spaceform.errors import InputError, SpaceFormatError
from spaceform.geometry import PoincareBall
from spaceform.search.exact import exact_search
from spaceform.search.filters import Expr, as_expression
from spaceform.space import Space
from spaceform.space_rows import ID
from spaceform.types import BoolArray, FloatArray, PathLike
from spaceform.workflows.discovering.words import match_words, text_columns
from spaceform.workflows.encoders import open_encoder

Encode: TypeAlias = Callable[[Sequence[str]], ArrayLike]
"""What turns texts into vectors ``(n, dim)`` of the Space."""

METRIC = {"sphere": "cosine", "euclidean": "euclidean", "poincare": "poincare"}
"""How closeness is measured in each geometry."""

MAX_ANCHORS = 32
"""Rows that may stand for a text: enough for a mean, few enough to be one thing."""

ANCHOR_SHARE = 0.8
"""Rows that match the words at least so well, as a share of the best score, stand for the text."""


@dataclass(frozen=True)
class SearchResult:
    """What was found, and how.

    ``way`` is ``"id"`` (near a row, which is not among the answers), ``"vector"``, ``"encoder"`` (near the vector
    of the text) or ``"words"`` (near the mean of the rows that best match the words). ``anchors`` are the ids of
    the rows that stood for the query. ``passing`` counts the rows that could be answers. Each of ``rows`` has
    ``rank`` (from 1), ``id``, ``closeness`` (by ``metric``; larger is nearer) and ``attributes``.
    """

    query: str | None
    way: str
    metric: str
    where: str | None
    passing: int
    anchors: tuple[str, ...]
    rows: list[dict[str, Any]] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON knows: dates become ISO text, NaN and infinities None."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def search(
    space: Space | PathLike,
    query: str | ArrayLike,
    *,
    where: str | Expr | None = None,
    k: int = 10,
    encode: Encode | None = None,
) -> SearchResult:
    """Return the ``k`` rows nearest to ``query`` among those that ``where`` lets through (all of them if fewer).

    Parameters: ``space``, or its folder; ``query``, the id of a row, a vector ``(dim,)`` or a text; ``where``, a
    filter as text or expression (`spaceform.search.filters`); ``encode``, which turns texts into vectors of this
    Space. Without ``encode`` a Space given as a folder uses the text encoder in it, if it was built with one;
    otherwise the words of the text are looked up in the rows' attributes.

    Raises ``InputError`` for a query that is nothing of the kind, words that no row has, and what ``encode`` returns
    if it does not fit; ``FilterError`` for the filter. O(n d).
    """
    check_integer(k, "k", low=1)
    if not isinstance(space, Space):
        folder, space = Path(space), Space.open(space)
        encode = encode or own_encoder(folder, space.encoder)
    expression = as_expression(where)
    mask = expression.mask(space.table) if where is not None else None
    text = query if isinstance(query, str) else None
    way, anchors, vector, mask = _place(space, query, mask=mask, encode=encode)
    metric = METRIC[space.geometry]
    found = exact_search(vector[None], space, k=k, metric=metric, mask=mask)
    chosen = space.table.take(found.rows[0]).to_pylist()
    return SearchResult(
        query=text,
        way=way,
        metric=metric,
        where=None if where is None else str(expression),
        passing=len(space) if mask is None else int(mask.sum()),
        anchors=anchors,
        rows=[
            {"rank": rank, "id": row.pop(ID), "closeness": float(closeness), "attributes": row}
            for rank, (row, closeness) in enumerate(zip(chosen, found.closeness[0], strict=True), start=1)
        ],
    )


def _place(
    space: Space, query: str | ArrayLike, *, mask: BoolArray | None, encode: Encode | None
) -> tuple[str, tuple[str, ...], FloatArray, BoolArray | None]:
    """Return way, anchors, the vector to search around, and the mask of rows that may be answers."""
    if not isinstance(query, str):
        return "vector", (), _checked(space, query, "query", "a row id, a text, or a vector"), mask
    own = pc.index(space.table[ID], query).as_py() if _is_text(query) else -1
    if own >= 0:
        allowed = np.ones(len(space), dtype=bool) if mask is None else mask.copy()
        allowed[own] = False
        return "id", (query,), space.select([own]).vectors[0], allowed
    if not query.strip() or not _is_text(query):
        raise InputError("query", got=repr(query), expected="a row id, some words, or a vector")
    if encode is not None:
        encoded = np.asarray(encode([query]))
        if encoded.ndim != 2 or len(encoded) != 1:
            raise InputError("encode", got=f"shape {encoded.shape}", expected=f"(1, {space.dim}) for one text")
        return "encoder", (), _checked(space, encoded[0], "encode", "vectors"), mask
    rows, scores = match_words(space.table, query)
    if not len(rows):
        raise _unmatched(space, query)
    rows = np.sort(rows[scores >= ANCHOR_SHARE * scores[0]][:MAX_ANCHORS])
    stand_ins = space.select(rows)
    return "words", tuple(stand_ins.ids.tolist()), _middle(stand_ins), mask


def _middle(space: Space) -> FloatArray:
    """Return the mean of the rows: in the ball its own, elsewhere that of the coordinates (cosine ignores lengths)."""
    points = space.vectors.astype(np.float64)
    if space.geometry == "poincare":
        return PoincareBall().mean(points)
    mean: FloatArray = points.mean(axis=0)
    balanced = space.geometry == "sphere" and float(np.linalg.norm(mean)) < 1e-6  # opposite rows have no middle
    return points[0] if balanced else mean


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


def own_encoder(folder: Path, made_by: Mapping[str, Any] | None) -> Encode | None:
    """Return the text encoder in a Space's folder, loaded when it is first called; None if none ``made_by`` it.

    ``made_by`` is the record of what made the vectors; calling an encoder of another fingerprint is refused.
    """
    record = made_by or {}
    if record.get("kind") != "TextEncoder":
        return None

    def encode(texts: Sequence[str]) -> ArrayLike:
        encoder = open_encoder(folder)
        if encoder is None:
            raise SpaceFormatError(f"{folder}: the encoder of its texts is missing; build it again")
        if encoder.fingerprint != record.get("fingerprint"):
            raise SpaceFormatError(f"{folder}: its encoder is not the one that made its vectors; build it again")
        return encoder.encode(texts)

    return encode


def _is_text(query: str) -> bool:
    """Whether it is valid Unicode: bytes from a shell may not be."""
    try:
        query.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value.isoformat() if hasattr(value, "isoformat") else value
