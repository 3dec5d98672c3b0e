"""Facets: what the rows that pass a filter have in common, counted exactly, and which conditions could narrow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spaceform.search.attributes import Kind, Schema, readable
from spaceform.search.filter_predicates import Predicate
from spaceform.search.filters import (
    And,
    Between,
    Comparison,
    Constant,
    Contains,
    Expr,
    In,
    IsNull,
    Like,
    Literal,
    as_expression,
)
from spaceform.space import Space
from spaceform.types import BoolArray, FloatArray, IntArray

SHOWN = 12
"""Values of a facet, the most frequent first, and those that are chosen."""

BINS = 24
"""Bars of a range."""

_FEW_NUMBERS = 6
"""A column of numbers with at most so many values is a list of them."""

_REPEATED, _LISTED = 0.1, 30
"""A text column with more values than both (a share of the rows, a number) names rows: it is searched, not counted."""

_WORDY = 60
"""Texts longer than this on average are no values."""


@dataclass(frozen=True)
class Value:
    """A value with the number of rows that have it; ``literal`` is how a filter writes it."""

    value: str
    literal: str
    count: int
    chosen: bool


@dataclass(frozen=True)
class Facet:
    """One attribute under a filter, the filter's own choice on it set aside.

    ``shape`` is ``"values"`` (``values`` of ``distinct``), ``"range"`` (from ``low`` to ``high``, ``bars`` rows in
    equal steps, ``chosen`` ends or None; numbers, or ISO text where ``kind`` is a date) or ``"words"`` (``words``: the
    text that values must contain). ``written`` is the column as a filter writes it.
    """

    name: str
    written: str
    kind: str
    shape: str
    values: list[Value] = field(default_factory=list)
    distinct: int = 0
    low: float | str | None = None
    high: float | str | None = None
    chosen: tuple[float | str | None, float | str | None] = (None, None)
    bars: list[int] = field(default_factory=list)
    words: str = ""


@dataclass(frozen=True)
class Part:
    """A condition that must hold: its text, and the facet that shows it (None: written by hand)."""

    text: str
    facet: str | None


@dataclass(frozen=True)
class _Column:
    name: str
    kind: Kind
    shape: str
    labels: Sequence[Any] = ()
    codes: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    owners: IntArray | None = None
    numbers: FloatArray = field(default_factory=lambda: np.empty(0))


class Facets:
    """The attributes of a Space, encoded once, so that values are counted by one pass over the rows that pass."""

    def __init__(self, space: Space) -> None:
        """Encode the columns; O(n) each."""
        self._n, self._schema = len(space), Schema.of(space.table)
        kinds = {name: self._schema.kinds[name] for name in space.columns}
        made = (_encoded(space.table, name, kind) for name, kind in kinds.items())
        known = [column for column in made if column is not None]
        self._columns = sorted(known, key=lambda column: column.shape == "words")  # what can be looked at goes first

    def parts(self, where: Expr | None) -> list[Part]:
        """Return the conditions that ``where`` joins by AND; raises ``FilterError``."""
        shapes = {column.name: column.shape for column in self._columns}
        return [Part(_standing(part), _facet_of(part, shapes)) for part in self._conditions(where)]

    def counted(self, where: Expr | None, passing: Callable[[Expr | None], IntArray]) -> list[Facet]:
        """Return every facet under a filter. ``passing`` gives the rows that pass one; O(n) per attribute."""
        conditions = self._conditions(where)
        shapes = {column.name: column.shape for column in self._columns}
        whole = passing(where)
        facets = []
        for column in self._columns:
            own = [part for part in conditions if _facet_of(part, shapes) == column.name]
            rows = whole
            if own:
                rest = tuple(part for part in conditions if part not in own)
                rows = passing(And(rest) if len(rest) > 1 else rest[0] if rest else None)
            facets.append(self._facet(column, rows, own))
        return facets

    def _conditions(self, where: Expr | None) -> tuple[Expr, ...]:
        checked = as_expression(where).check(self._schema)  # None is TRUE
        if isinstance(checked, Constant) and checked.value:
            return ()
        return checked.parts if isinstance(checked, And) else (checked,)

    def _facet(self, column: _Column, rows: IntArray, own: Sequence[Expr]) -> Facet:
        common: dict[str, Any] = {"name": column.name, "written": IsNull(column.name).name, "kind": str(column.kind)}
        if column.shape == "words":
            patterns = [part.pattern for part in own if isinstance(part, Like)]
            return Facet(**common, shape="words", words=patterns[-1][1:-1] if patterns else "")
        if column.shape == "range":
            return self._range(column, rows, own, common)
        chosen = {value for part in own for value in _chosen_values(part)}
        counts = self._counts(column, rows)
        order = np.lexsort((np.arange(len(counts)), -counts))
        first = [code for code in order[:SHOWN].tolist() if counts[code] or column.labels[code] in chosen]
        missing = [code for code, label in enumerate(column.labels) if label in chosen and code not in first]
        values = [
            Value(_shown(label), str(Literal.of(label)), int(counts[code]), label in chosen)
            for code in [*first, *missing]
            for label in [column.labels[code]]
        ]
        return Facet(**common, shape="values", values=values, distinct=int((counts > 0).sum()))

    def _counts(self, column: _Column, rows: IntArray) -> IntArray:
        """Return how many of the rows have each value; a list holds each of its texts once."""
        if column.owners is None:
            codes = column.codes[rows]
            return np.bincount(codes[codes >= 0], minlength=len(column.labels))
        inside: BoolArray = np.zeros(self._n, dtype=bool)
        inside[rows] = True
        return np.bincount(column.codes[inside[column.owners]], minlength=len(column.labels))

    def _range(self, column: _Column, rows: IntArray, own: Sequence[Expr], common: dict[str, Any]) -> Facet:
        every = column.numbers[np.isfinite(column.numbers)]
        low, high = float(every.min()), float(every.max())
        numbers = column.numbers[rows]
        bars, _ = np.histogram(numbers[np.isfinite(numbers)], bins=BINS, range=(low, high if high > low else low + 1))
        ends = [_chosen_ends(part) for part in own]
        lows = [str(one) if isinstance(one, str) else one for one, _ in ends if one is not None]
        highs = [str(one) if isinstance(one, str) else one for _, one in ends if one is not None]
        return Facet(
            **common,
            shape="range",
            low=_end(low, column.kind),
            high=_end(high, column.kind),
            chosen=(lows[-1] if lows else None, highs[-1] if highs else None),
            bars=bars.tolist(),
        )


def _encoded(table: pa.Table, name: str, kind: Kind) -> _Column | None:
    """Return a column ready to be counted, or None for one that no facet shows."""
    column = readable(table, name)
    if kind is Kind.OTHER or column.null_count == len(column):
        return None
    if kind is Kind.TEXTS:
        lists = column.combine_chunks()
        owners, texts = pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists)
        encoded = pc.dictionary_encode(texts)
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        pairs = np.unique(np.stack([owners, codes])[:, codes >= 0], axis=1)
        return _Column(name, kind, "values", encoded.dictionary.to_pylist(), pairs[1], pairs[0])
    distinct = pc.count_distinct(column).as_py()
    if kind in (Kind.DATE, Kind.TIMESTAMP) or (kind is Kind.NUMBER and not _is_short_list(column, distinct)):
        numbers = column.cast(pa.float64()).fill_null(float("nan")).to_numpy().astype(np.float64)
        unit = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}.get(getattr(table[name].type, "unit", ""), 1)
        numbers = numbers / unit if kind is Kind.TIMESTAMP else numbers
        return _Column(name, kind, "range", numbers=numbers) if np.isfinite(numbers).any() else None
    if kind is Kind.TEXT and (
        distinct > max(_REPEATED * len(table), _LISTED) or float(pc.mean(pc.utf8_length(column)).as_py()) > _WORDY
    ):
        return _Column(name, kind, "words")
    encoded = pc.dictionary_encode(column).combine_chunks()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return _Column(name, kind, "values", encoded.dictionary.to_pylist(), codes)


def _is_short_list(column: pa.ChunkedArray, distinct: int) -> bool:
    """Return whether numbers can be listed: few of them, and none that a filter can't write."""
    return distinct <= _FEW_NUMBERS and bool(pc.all(pc.is_finite(column)).as_py())


def _facet_of(part: Expr, shapes: dict[str, str]) -> str | None:
    """Return the facet that can show a condition as chosen, or None."""
    if not isinstance(part, Predicate) or part.column not in shapes:
        return None
    shape = shapes[part.column]
    fits = (
        (shape == "values" and _chosen_values(part) != [])
        or (shape == "range" and _chosen_ends(part) != (None, None))
        or (shape == "words" and isinstance(part, Like) and part.ignore_case and _is_inside(part.pattern))
    )
    return part.column if fits else None


def _chosen_values(part: Expr) -> list[Any]:
    if isinstance(part, Comparison) and part.operator == "=":
        return [part.value.value]
    if isinstance(part, In):
        return [value.value for value in part.values]
    return list(part.texts) if isinstance(part, Contains) and not part.every else []


def _chosen_ends(part: Expr) -> tuple[float | str | None, float | str | None]:
    if isinstance(part, Between):
        return _plain(part.low), _plain(part.high)
    if isinstance(part, Comparison) and part.operator in (">=", "<="):
        return (_plain(part.value), None) if part.operator == ">=" else (None, _plain(part.value))
    return None, None


def _is_inside(pattern: str) -> bool:
    return len(pattern) > 2 and pattern[0] == pattern[-1] == "%" and not set(pattern[1:-1]) & set("%_\\")


def _standing(part: Expr) -> str:
    """Return the text of a condition that can stand between two ANDs."""
    return str(part) if isinstance(part, Predicate | Constant) else f"({part})"


def _plain(literal: Literal) -> float | str:
    value = literal.value
    return value if isinstance(value, int | float) else value.isoformat() if hasattr(value, "isoformat") else str(value)


def _end(number: float, kind: Kind) -> float | str:
    if kind is Kind.DATE:
        return str(np.datetime64(int(number), "D"))
    return str(np.datetime64(int(number), "s")) if kind is Kind.TIMESTAMP else number


def _shown(label: object) -> str:
    return ("yes" if label else "no") if isinstance(label, bool) else str(label)
