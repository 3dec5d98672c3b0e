"""The shapes of questions and answers, from which the OpenAPI schema is made."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Ask(BaseModel):
    """A search: around a text (or id), a row or a vector, at most one of them; none shows rows from all over."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(None, description="Words, or the id of a row.")
    row: str | None = Field(None, description="The id of a row, which will not be among the answers.")
    vector: list[Finite] | None = Field(None, description="As many numbers as the Space has dimensions.")
    where: str | None = Field(None, description="A filter, such as: category = 'Food' and year >= 2015.")
    k: int = Field(24, ge=1, strict=True, description="Rows to find, at most max_k of /api/space.")


class Error(BaseModel):
    """What was wrong: the argument, what came, what was expected, what to do; and all of it as one message."""

    name: str
    got: str
    expected: str
    remedy: str
    message: str


class ErrorAnswer(BaseModel):
    """The body of every answer that is none."""

    error: Error


class Health(BaseModel):
    """Whether the server answers, and how many questions it is at."""

    status: str
    questions: int


class Column(BaseModel):
    """An attribute: its name, how a filter writes it, and its kind."""

    name: str
    written: str
    kind: str


class About(BaseModel):
    """What can be asked of the Space, and how; ``by_text`` is ``encoder``, ``words`` or ``none``."""

    name: str
    rows: int
    dim: int
    geometry: str
    metric: str
    label: str | None
    fingerprint: str
    columns: list[Column]
    pictures: bool
    by_text: str
    by_picture: bool
    advice: list[str]
    example: str
    max_k: int
    max_body: int


class Row(BaseModel):
    """A row: its place in the answer, its position and id, how it is called, how near it is, its attributes."""

    rank: int
    row: int
    id: str
    title: str
    closeness: float | None
    attributes: dict[str, Any]


class PlanAnswer(BaseModel):
    """How the neighbours were found: the plan, what each possible one was predicted to take, what this one took."""

    name: str
    words: str
    matches: int
    predicted_ms: dict[str, float]
    measured_ms: float
    filter_ms: float
    screened: int
    scored: int


class Timing(BaseModel):
    """Milliseconds: to place the query, to find its neighbours, to read their attributes, in all."""

    place_ms: float
    find_ms: float
    read_ms: float
    total_ms: float


class SearchAnswer(BaseModel):
    """What was found, and how; ``plan`` is null when nothing was asked for."""

    way: str
    anchors: list[str]
    anchor_rows: list[int]
    metric: str
    where: str | None
    matches: int
    rows: list[Row]
    plan: PlanAnswer | None
    timing: Timing


class FacetValue(BaseModel):
    """A value with its count, how a filter writes it, and whether the filter chooses it."""

    value: str
    literal: str
    count: int
    chosen: bool


class FacetAnswer(BaseModel):
    """An attribute under the filter, whose own choice on it is set aside: ``values``, ``range`` or ``words``."""

    name: str
    written: str
    kind: str
    shape: str
    values: list[FacetValue]
    distinct: int
    low: float | str | None
    high: float | str | None
    chosen: list[float | str | None]
    bars: list[int]
    words: str


class PartAnswer(BaseModel):
    """One of the conditions that the filter joins by AND, and the facet that shows it."""

    text: str
    facet: str | None


class FacetsAnswer(BaseModel):
    """All facets under a filter; ``map_bits`` are the points of the map that pass, as bits in base 64."""

    where: str | None
    matches: int
    parts: list[PartAnswer]
    facets: list[FacetAnswer]
    map_bits: str | None


class Colour(BaseModel):
    """A column that colours the map: its largest classes, and the class of every point (-1: another)."""

    column: str
    classes: list[str]
    codes: list[int]
    share: float


class MapAnswer(BaseModel):
    """The map: whether it is ready; positions of the rows it shows, and for each its place, name and colours."""

    ready: bool
    rows: list[int] = Field(default_factory=list)
    x: list[int] = Field(default_factory=list)
    y: list[int] = Field(default_factory=list)
    names: list[str] = Field(default_factory=list)
    colours: list[Colour] = Field(default_factory=list)
