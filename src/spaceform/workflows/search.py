"""Search a Space: what lies near a row, a vector or a text, among the rows that a filter lets through."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer
from spaceform.errors import InputError
from spaceform.search.exact import exact_search
from spaceform.search.filters import Expr, as_expression
from spaceform.space import Space
from spaceform.space_rows import ID
from spaceform.types import BoolArray, PathLike
from spaceform.workflows.searching.encoding import QueryEncoder
from spaceform.workflows.searching.finder import METRIC
from spaceform.workflows.searching.placing import Encode, Place, place_picture, place_query
from spaceform.workflows.searching.plain import plain_values


@dataclass(frozen=True)
class SearchResult:
    """What was found, and how.

    ``way`` is ``"id"`` (near a row, which is not among the answers), ``"vector"``, ``"encoder"`` (near the vector of
    the text), ``"words"`` (near the mean of the rows that best match the words) or ``"picture"``. ``anchors`` are the
    ids of the rows that stood for the query. ``passing`` counts the rows that could be answers. Each of ``rows`` has
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
        plain: dict[str, Any] = plain_values(asdict(self))
        return plain


def search(
    space: Space | PathLike,
    query: str | ArrayLike | None = None,
    *,
    image: PathLike | None = None,
    where: str | Expr | None = None,
    k: int = 10,
    encode: Encode | None = None,
) -> SearchResult:
    """Return the ``k`` rows nearest to ``query`` among those that ``where`` lets through (all of them if fewer).

    Parameters: ``space``, or its folder; ``query``, the id of a row, a vector ``(dim,)`` or a text; or ``image``, the
    file of a picture, for the folder of a Space that pictures were embedded in; ``where``, a filter as text or
    expression (`spaceform.search.filters`); ``encode``, which turns texts into vectors of this Space. Without
    ``encode`` a Space given as a folder uses the text encoder in it, if it was built with one; otherwise the words of
    the text are looked up in the rows' attributes.

    Raises ``InputError`` for a query that is nothing of the kind, words that no row has, what ``encode`` returns
    if it does not fit, and an ``image`` that can't be read or embedded; ``FilterError`` for the filter. O(n d).
    """
    check_integer(k, "k", low=1)
    encoder: QueryEncoder | None = None
    if not isinstance(space, Space):
        folder, space = Path(space), Space.open(space)
        encoder = QueryEncoder(folder, space)
        encode = encode or (encoder.texts if encoder.takes_texts else None)
    if (query is None) == (image is None):
        both = "both" if image is not None else "neither"
        raise InputError("query", got=both, expected="a query or an image")
    expression = as_expression(where)
    mask = expression.mask(space.table) if where is not None else None
    if query is not None:
        place = place_query(space, query, encode=encode)
    else:
        place = _place_file(space, encoder, Path(str(image)))
    text = query if isinstance(query, str) else None
    way, anchors, vector = place.way, place.anchors, place.vector
    mask = _without(mask, place.own, len(space))
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


def _place_file(space: Space, encoder: QueryEncoder | None, path: Path) -> Place:
    if encoder is None:
        raise InputError("image", got="a Space in memory", expected="the folder of one, which holds its encoder")
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise InputError("image", got=f"{path} ({error.strerror})", expected="the file of a picture") from error
    return place_picture(space, encoded, encode=encoder.picture)


def _without(mask: BoolArray | None, own: int | None, n: int) -> BoolArray | None:
    """Return the mask of rows that may be answers: all that pass but the query itself."""
    if own is None:
        return mask
    allowed = np.ones(n, dtype=bool) if mask is None else mask.copy()
    allowed[own] = False
    return allowed
