"""What is served: one Space with its index, its encoder, its facets and its map. Nothing here knows of HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spaceform.checks import check_integer
from spaceform.data.pictures import check_picture
from spaceform.errors import FilterError, InputError
from spaceform.search.attributes import Schema
from spaceform.search.exact import Nearest
from spaceform.search.filtered.choice import Plan
from spaceform.search.filters import Expr, IsNull, parse
from spaceform.serve.limits import Limits
from spaceform.serve.maps import map_bits, map_data
from spaceform.serve.shelf import Shelf
from spaceform.space import Space
from spaceform.space_rows import ID
from spaceform.types import FloatArray, PathLike, Progress, no_progress
from spaceform.workflows.projection import Projection
from spaceform.workflows.searching.encoding import QueryEncoder
from spaceform.workflows.searching.facets import Facet, Facets
from spaceform.workflows.searching.finder import METRIC, Finder
from spaceform.workflows.searching.kept import Kept
from spaceform.workflows.searching.placing import Place, place_picture, place_query, place_row, row_of
from spaceform.workflows.searching.plain import plain_rows
from spaceform.workflows.searching.words import RowWords, text_columns

MOST_TEXT = 2**28
"""Bytes of text up to which the words of the rows are laid out, which takes memory of about that size."""

PLANS = {
    "S": "compared all matches by 8-bit codes",
    "B": "screened all matches by 1-bit codes first",
    "I": "opened the most promising cells only",
    "P": "searched the list kept for this filter",
    "all": "compared all matches",
}
"""Each plan in words."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A text (or id), the id of a row, a vector or an encoded picture to search around; none of them: just look."""

    text: str | None = None
    row: str | None = None
    vector: list[float] | None = None
    picture: bytes | None = None
    where: str | None = None
    k: int = 24


class Served:
    """A Space opened to be searched by many.

    Opening reads or makes the index; the map is drawn behind, unless it was kept. All methods may be called from
    several threads at once.
    """

    def __init__(self, folder: PathLike, *, limits: Limits, progress: Progress = no_progress) -> None:
        """Open the Space in ``folder``; raises ``SpaceFormatError`` for what is none."""
        place = Path(folder)
        self.space, self.limits = Space.open(place), limits
        self._kept = Kept(place, self.space)
        self.finder = Finder(self.space, self._kept.index(progress=progress))
        self.encoder = QueryEncoder(place, self.space)
        self.facets, self.shelf = Facets(self.space), Shelf(self.space)
        self._schema, self._texts = Schema.of(self.space.table), text_columns(self.space.table)
        self._naming, self._columns = _naming_column(self.space, self._texts), self.space.columns
        self._words = _words(self.space.table, self._texts) if not self.encoder.takes_texts else None
        self._map: Projection | None = None
        self._map_data: dict[str, Any] | None = None
        self.name = place.resolve().name
        self.sides = self.encoder.picture_side  # loads the encoder, and the first question need not wait for it
        if self.encoder.takes_texts:
            self.encoder.texts(["warm up"])
        self.finder.nearest(self.finder.vectors(np.array([0]))[0], 1, where=None)

    def draw_map(self) -> Thread:
        """Draw the map in a thread of its own, and return that."""

        def draw() -> None:
            found = self._kept.map()
            self._map_data = map_data(self.space, found, self._titles(found.rows))
            self._map = found

        thread = Thread(target=draw, name="map", daemon=True)
        thread.start()
        return thread

    @property
    def map(self) -> dict[str, Any] | None:
        """The map as plain values, or None while it is drawn."""
        return self._map_data if self._map is not None else None

    def about(self) -> dict[str, Any]:
        """Return what can be asked of this Space, and how."""
        space, encoder = self.space, self.encoder
        text = "encoder" if encoder.takes_texts else "words" if self._texts else "none"
        return {
            "name": self.name,
            "rows": len(space),
            "dim": space.dim,
            "geometry": space.geometry,
            "metric": METRIC[space.geometry],
            "label": space.label,
            "fingerprint": space.fingerprint,
            "columns": [
                {"name": name, "written": IsNull(name).name, "kind": str(self._schema.kinds[name])}
                for name in space.columns
            ],
            "pictures": space.has_pictures,
            "by_text": text,
            "by_picture": self.sides is not None,
            "advice": self._advice(text),
            "example": str(space.table[ID][0].as_py()),
            "max_k": self.limits.max_k,
            "max_body": self.limits.max_body,
        }

    def _advice(self, text: str) -> list[str]:
        """Say what can't be asked of this Space, and what to do instead."""
        said = []
        if text == "words":
            said.append(
                "No text encoder made this Space, so words are looked up in its attributes: the search is around the "
                "rows that match them best."
            )
        elif text == "none":
            said.append("No attribute of this Space is text: search by a row's id, or press Enter on a row.")
        if self.sides is None:
            said.append("No picture encoder made this Space: search by words or by a row instead of a picture.")
        return said

    def condition(self, where: str | None) -> Expr | None:
        """Return a filter, parsed and checked, or None; raises ``FilterError`` beyond the limits, too."""
        if where is None or not where.strip():
            return None
        most = self.limits.max_characters
        if len(where) > most:
            raise FilterError("where", got=f"{len(where)} characters", expected=f"at most {most}")
        expression = parse(where).check(self._schema)
        if expression.depth > self.limits.max_depth:
            expected = f"at most {self.limits.max_depth}, the limit of this server"
            raise FilterError("where", got=f"{expression.depth} levels of AND, OR and NOT", expected=expected)
        return expression

    def search(self, question: Question, check: Callable[[], None]) -> dict[str, Any]:
        """Return the answer to a question as plain values; ``check`` is called between the steps."""
        check_integer(question.k, "k", low=1, high=self.limits.max_k)
        begun = perf_counter()
        where = self.condition(question.where)
        place = self._place(question)
        placed = perf_counter()
        check()
        plan: Plan | None = None
        if place is None:
            passing = self.finder.passing(where)
            found, matches = _looked(passing, question.k), len(passing)
        else:
            found, plan = self.finder.nearest(place.vector, question.k, where=where, own=place.own, check=check)
            matches = plan.matches
        searched = perf_counter()
        check()
        rows = self.rows(found.rows[0], found.closeness[0])
        done = perf_counter()
        return {
            "way": place.way if place is not None else "look",
            "anchors": list(place.anchors) if place is not None else [],
            "anchor_rows": list(place.rows[:6]) if place is not None else [],
            "metric": METRIC[self.space.geometry],
            "where": None if where is None else str(where),
            "matches": matches,
            "rows": rows,
            "plan": None if plan is None else _told(plan),
            "timing": {
                "place_ms": 1e3 * (placed - begun),
                "find_ms": 1e3 * (searched - placed),
                "read_ms": 1e3 * (done - searched),
                "total_ms": 1e3 * (done - begun),
            },
        }

    def rows(self, rows: np.ndarray, closeness: FloatArray | None = None) -> list[dict[str, Any]]:
        """Return rows by their positions, with their attributes, as plain values."""
        scores = np.full(len(rows), np.nan) if closeness is None else closeness
        taken = self.space.table.take(rows)
        listed = zip(
            rows.tolist(), scores.tolist(), taken[ID].to_pylist(), plain_rows(taken, self._columns), strict=True
        )
        return [
            {
                "rank": rank,
                "row": row,
                "id": name,
                "title": self._title(name, attributes),
                "closeness": score if isfinite(score) else None,
                "attributes": attributes,
            }
            for rank, (row, score, name, attributes) in enumerate(listed, start=1)
        ]

    def facets_of(self, where: str | None, check: Callable[[], None]) -> dict[str, Any]:
        """Return the facets under a filter, its parts, and which points of the map pass, as plain values."""
        condition = self.condition(where)
        passing = self.finder.passing(condition)

        def rows_of(other: Expr | None) -> np.ndarray:
            check()
            return passing if other is condition else self.finder.passing(other)

        return {
            "where": None if condition is None else str(condition),
            "matches": len(passing),
            "parts": [vars(part) for part in self.facets.parts(condition)],
            "facets": [_facet(facet) for facet in self.facets.counted(condition, rows_of, check=check)],
            "map_bits": None if self._map is None else map_bits(self._map, passing, len(self.space)),
        }

    def _place(self, question: Question) -> Place | None:
        given = {
            name: value
            for name in ("text", "row", "vector", "picture")
            if (value := getattr(question, name)) is not None and value != ""
        }
        if len(given) > 1:
            raise InputError("query", got=" and ".join(given), expected="one of text, row, vector and picture")
        if not given:
            return None
        if "row" in given:
            return self._place_row(str(question.row))
        if question.picture is not None:
            check_picture(question.picture, max_pixels=self.limits.max_pixels)
            return place_picture(self.space, question.picture, encode=self.encoder.picture)
        if question.vector is not None:
            return self._nonzero(place_query(self.space, question.vector))
        text = str(question.text)
        if len(text) > self.limits.max_characters:
            most = self.limits.max_characters
            raise InputError("text", got=f"{len(text)} characters", expected=f"at most {most}")
        encode = self.encoder.texts if self.encoder.takes_texts else None
        return place_query(self.space, text, encode=encode, vectors=self.finder.vectors, words=self._words)

    def _place_row(self, name: str) -> Place:
        row = row_of(self.space, name)
        if row < 0:
            example = str(self.space.table[ID][0].as_py())
            raise InputError("row", got=repr(name)[:80], expected=f"the id of a row, such as {example!r}")
        return place_row(self.space, row, vectors=self.finder.vectors)

    def _nonzero(self, place: Place) -> Place:
        """Refuse vectors that lie nowhere in the geometry: 0 has no direction, the ball has an edge."""
        norm = float(np.linalg.norm(place.vector))
        if self.space.geometry == "sphere" and norm < 1e-12:
            raise InputError("vector", got="zeros", expected="a vector with a direction")
        if self.space.geometry == "poincare" and norm >= 1:
            raise InputError("vector", got=f"norm {norm:.6g}", expected="a norm below 1")
        return place

    def _titles(self, rows: np.ndarray) -> list[str]:
        taken = self.space.table.select([ID, *([self._naming] if self._naming is not None else [])]).take(rows)
        return [self._title(row[ID], row) for row in taken.to_pylist()]

    def _title(self, name: str, attributes: Mapping[str, Any]) -> str:
        """Return how a row is called: by what names it best, or its id."""
        value = attributes[self._naming] if self._naming is not None else None
        return str(value)[:200] if value not in (None, "") else name


def _facet(facet: Facet) -> dict[str, Any]:
    """Return a facet as plain values."""
    return {**vars(facet), "values": [vars(value) for value in facet.values]}


def _looked(passing: np.ndarray, k: int) -> Nearest:
    """Return rows to look at when nothing was asked: evenly spread over those that pass."""
    some = passing[np.linspace(0, len(passing) - 1, min(k, len(passing))).astype(np.int64)] if len(passing) else passing
    return Nearest(some[None], np.full((1, len(some)), np.nan))


def _told(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain values; plans that were never measured, whose prediction is infinite, are left out."""
    predicted = {name: ms for name, ms in plan.predicted_ms.items() if np.isfinite(ms)}
    return {**asdict(plan), "predicted_ms": predicted, "words": PLANS[plan.name]}


def _words(table: pa.Table, names: Sequence[str]) -> RowWords | None:
    """Return the words of all rows, or None where they are too much to be kept; then every query reads the texts."""
    size = sum(table[name].nbytes for name in names)
    return RowWords.of(table) if size <= MOST_TEXT else None


def _naming_column(space: Space, names: Sequence[str]) -> str | None:
    """Return the text attribute that tells most rows apart, or None; lists of texts name nothing."""
    columns = {name: space.table[name] for name in names if pa.types.is_string(space.table[name].type)}
    return max(columns, key=lambda name: pc.count_distinct(columns[name]).as_py(), default=None)
