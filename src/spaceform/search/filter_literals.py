"""The constants of filter expressions, the places they were written at, and the errors that point there."""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from spaceform.errors import FilterError
from spaceform.search.attributes import Kind

Constant: TypeAlias = bool | int | float | str | dt.date | dt.datetime

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_SHOWN = 76
"""Characters of the expression that an error shows around the place it points at."""


@dataclass(frozen=True)
class Place:
    """Characters ``start`` to ``stop`` of the text of an expression."""

    text: str
    start: int
    stop: int

    def caret(self) -> str:
        """Return the line around the place, with carets under it; control characters are shown as dots."""
        first = max(0, min(self.start - _SHOWN // 2, len(self.text) - _SHOWN))
        last = min(len(self.text), first + _SHOWN)
        shown = [c if c.isprintable() else "·" for c in self.text[first:last]]
        width = [2 if unicodedata.east_asian_width(c) in "WF" else int(not unicodedata.combining(c)) for c in shown]
        indent = sum(width[: self.start - first])
        marked = max(1, sum(width[self.start - first : self.stop - first]))
        return f"\n    {'…' * (first > 0)}{''.join(shown)}\n    {' ' * (indent + (first > 0))}{'^' * marked}"


def problem(got: str, expected: str, remedy: str = "", *, place: Place | None = None) -> FilterError:
    """Return a ``FilterError`` whose message ends with a line that points at ``place``."""
    caret = place.caret() if place else ""
    where = f" at character {place.start + 1}" if place else ""
    return FilterError(
        "where",
        got=got + where,
        expected=expected + ("" if remedy else caret),
        remedy=remedy + caret if remedy else "",
    )


@dataclass(frozen=True)
class Literal:
    """A constant of a filter: a finite number, text, truth value, date or timestamp (UTC, without zone).

    Two literals are equal when kind and value are: 1 equals 1.0, but not TRUE.
    """

    value: Constant
    kind: Kind
    place: Place | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, value: Any, place: Place | None = None) -> Literal:
        """Take a Python or NumPy scalar. Raises ``FilterError`` for None, NaN, infinities and foreign objects."""
        if isinstance(value, Literal):
            return value
        if isinstance(value, np.datetime64) and not np.isnat(value):
            value = value.astype("M8[us]").item() if value.dtype != np.dtype("M8[D]") else value.item()
        elif isinstance(value, np.generic):
            value = value.item()
        if value is None:
            raise problem("NULL", "a value", "nothing equals NULL: ask with IS NULL, in Python .is_null()", place=place)
        for kind, types in _PYTHON_TYPES:
            if isinstance(value, types):
                return cls(_admitted(value, place), kind, place)
        raise problem(f"{type(value).__name__} {value!r:.60}", "text, a number, a boolean or a date", place=place)

    def fitting(self, kind: Kind, column: str) -> Literal:
        """Return the literal as something comparable with a column of ``kind``: ISO text becomes a date."""
        if kind is self.kind or (kind in _TIMES and self.kind in _TIMES):
            return self
        if kind in _TIMES and self.kind is Kind.TEXT:
            moment = read_moment(str(self.value))
            if moment is not None:
                return Literal.of(moment, self.place)
            expected = f"an ISO date like '2024-02-29', for {column!r} is a {kind} column"
            raise problem(f"{self}", expected, place=self.place)
        remedy = "text goes in single quotes, numbers in none" if {kind, self.kind} == {Kind.TEXT, Kind.NUMBER} else ""
        raise problem(f"the {self.kind} {self}", f"a {kind}, as the column {column!r} is", remedy, place=self.place)

    def __str__(self) -> str:
        """Return the literal as it is written in an expression."""
        if self.kind is Kind.TEXT:
            return quoted(str(self.value), "'")
        if self.kind is Kind.BOOLEAN:
            return str(self.value).upper()
        if isinstance(self.value, dt.datetime):
            return f"TIMESTAMP '{self.value.isoformat(' ')}'"
        return f"DATE '{self.value.isoformat()}'" if isinstance(self.value, dt.date) else repr(self.value)


_TIMES = frozenset({Kind.DATE, Kind.TIMESTAMP})
_PYTHON_TYPES: tuple[tuple[Kind, type | tuple[type, ...]], ...] = (
    (Kind.BOOLEAN, bool),  # before int, whose subclass it is
    (Kind.NUMBER, (int, float)),
    (Kind.TEXT, str),
    (Kind.TIMESTAMP, dt.datetime),  # before date
    (Kind.DATE, dt.date),
)


def _admitted(value: Any, place: Place | None) -> Constant:
    """Return a plain value of the base types; refuse what has no literal."""
    if isinstance(value, bool | str):
        if isinstance(value, str):
            check_text(value, place)
            return str(value)
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise problem(f"{value}", "a finite number", "NaN counts as missing: ask with IS NULL", place=place)
        return float(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise problem("a number of more than 64 bits", "one from -2^63 to 2^64 - 1", place=place)
        return value
    if isinstance(value, dt.datetime):
        try:
            moment = value.astimezone(dt.UTC) if value.tzinfo else value
        except OverflowError as error:
            raise problem(f"{value}", "a moment in the years 1 to 9999 of UTC", place=place) from error
        return dt.datetime.combine(moment.date(), moment.time())
    return value


def check_text(text: str, place: Place | None = None) -> str:
    """Refuse halves of surrogate pairs, which are not text and can't be compared with any."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise problem("text that is not valid Unicode", "valid Unicode", place=place) from error
    return text


def read_moment(text: str) -> dt.date | dt.datetime | None:
    """Read ``YYYY-MM-DD``, alone or with `` HH:MM[:SS[.ffffff]]`` and perhaps a zone; None if it is no such thing."""
    try:
        if _DATE.fullmatch(text):
            return dt.date.fromisoformat(text)
        return dt.datetime.fromisoformat(text) if _TIMESTAMP.fullmatch(text) else None
    except ValueError:
        return None


def quoted(text: str, quote: str) -> str:
    """Return ``text`` between quotation marks, those inside it doubled."""
    return quote + text.replace(quote, quote * 2) + quote
