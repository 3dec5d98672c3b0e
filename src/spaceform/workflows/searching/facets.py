"""Facets: what the rows that pass a filter have in common, counted exactly, and which conditions could narrow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
from spaceform.workflows.searching.finder import Check, unchecked

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
    """One attribute, read once: every row has the code of its value (below ``size``; ``size`` where it has none).

    Codes stand for ``labels``, or for equal steps between the ``ends``. Of lists, every text of every row has a code,
    and the ``owners`` say whose.
    """

    name: str
    kind: Kind
    shape: str
    labels: Sequence[Any] = ()
    codes: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    size: int = 0
    owners: IntArray | None = None
    ends: tuple[float, float] = (0.0, 0.0)

    @cached_property
    def written(self) -> str:
        """How a filter writes the column."""
        return IsNull(self.name).name

    @cached_property
    def places(self) -> dict[Any, int]:
        """The code of each value."""
        return {label: code for code, label in enumerate(self.labels)}

    @cached_property
    def values(self) -> list[tuple[str, str]]:
        """How each value is shown, and how a filter writes it."""
        return [(_shown(label), str(Literal.of(label))) for label in self.labels]

    @cached_property
    def totals(self) -> IntArray:
        """How many rows have each code, of all."""
        return np.bincount(self.codes, minlength=self.size + 1)[: self.size]

    def counts(self, rows: IntArray, n: int) -> IntArray:
        """Return how many of the ``rows``, of ``n``, have each code; a list holds each of its texts once."""
        if len(rows) == n:
            return self.totals
        if self.owners is None:
            return np.bincount(self.codes[rows], minlength=self.size + 1)[: self.size]
        inside: BoolArray = np.zeros(n, dtype=bool)
        inside[rows] = True
        return np.bincount(self.codes[inside[self.owners]], minlength=self.size)


class Facets:
    """The attributes of a Space, encoded once, so that values are counted by one pass over the rows that pass."""

    def __init__(self, space: Space) -> None:
        """Encode the columns; O(n) each."""
        self._n, self._schema = len(space), Schema.of(space.table)
        kinds = {name: self._schema.kinds[name] for name in space.columns}
        made = (_encoded(space.table, name, kind) for name, kind in kinds.items())
        known = [column for column in made if column is not None]
        self._columns = sorted(known, key=lambda column: column.shape == "words")  # what can be looked at goes first
        self._shapes = {column.name: column.shape for column in self._columns}

    def parts(self, where: Expr | None) -> list[Part]:
        """Return the conditions that ``where`` joins by AND; raises ``FilterError``."""
        return [Part(_standing(part), _facet_of(part, self._shapes)) for part in self._conditions(where)]

    def counted(
        self, where: Expr | None, passing: Callable[[Expr | None], IntArray], *, check: Check = unchecked
    ) -> list[Facet]:
        """Return every facet under a filter. ``passing`` gives the rows that pass one.

        O(rows that pass) per attribute; ``check`` is called before each.
        """
        conditions = self._conditions(where)
        whole = passing(where)
        facets = []
        for column in self._columns:
            check()
            own = [part for part in conditions if _facet_of(part, self._shapes) == column.name]
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
        common: dict[str, Any] = {"name": column.name, "written": column.written, "kind": str(column.kind)}
        if column.shape == "words":
            patterns = [part.pattern for part in own if isinstance(part, Like)]
            return Facet(**common, shape="words", words=patterns[-1][1:-1] if patterns else "")
        if column.shape == "range":
            return self._range(column, rows, own, common)
        chosen = {column.places.get(value, -1) for part in own for value in _chosen_values(part)} - {-1}
        counts = column.counts(rows, self._n)
        first = [code for code in _most(counts, SHOWN) if counts[code] or code in chosen]
        values = [
            Value(*column.values[code], int(counts[code]), code in chosen)
            for code in [*first, *sorted(chosen.difference(first))]
        ]
        return Facet(**common, shape="values", values=values, distinct=int(np.count_nonzero(counts)))

    def _range(self, column: _Column, rows: IntArray, own: Sequence[Expr], common: dict[str, Any]) -> Facet:
        low, high = column.ends
        ends = [_chosen_ends(part) for part in own]
        lows = [str(one) if isinstance(one, str) else one for one, _ in ends if one is not None]
        highs = [str(one) if isinstance(one, str) else one for _, one in ends if one is not None]
        return Facet(
            **common,
            shape="range",
            low=_end(low, column.kind),
            high=_end(high, column.kind),
            chosen=(lows[-1] if lows else None, highs[-1] if highs else None),
            bars=column.counts(rows, self._n).tolist(),
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
        labels = encoded.dictionary.to_pylist()
        return _Column(name, kind, "values", labels, pairs[1], len(labels), pairs[0])
    distinct = pc.count_distinct(column).as_py()
    if kind in (Kind.DATE, Kind.TIMESTAMP) or (kind is Kind.NUMBER and not _is_short_list(column, distinct)):
        numbers = column.cast(pa.float64()).fill_null(float("nan")).to_numpy().astype(np.float64)
        unit = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}.get(getattr(table[name].type, "unit", ""), 1)
        numbers = numbers / unit if kind is Kind.TIMESTAMP else numbers
        return _ranged(name, kind, numbers)
    if kind is Kind.TEXT and (
        distinct > max(_REPEATED * len(table), _LISTED) or float(pc.mean(pc.utf8_length(column)).as_py()) > _WORDY
    ):
        return _Column(name, kind, "words")
    encoded = pc.dictionary_encode(column).combine_chunks()
    size = len(encoded.dictionary)
    codes = encoded.indices.fill_null(size).to_numpy(zero_copy_only=False)
    return _Column(name, kind, "values", encoded.dictionary.to_pylist(), codes, size)


def _ranged(name: str, kind: Kind, numbers: FloatArray) -> _Column | None:
    """Return a column of numbers with the bar of each, or None where none is finite."""
    known = np.isfinite(numbers)
    if not known.any():
        return None
    low, high = float(numbers[known].min()), float(numbers[known].max())
    codes = np.full(len(numbers), BINS, np.int64)
    width = high - low if high > low else 1.0
    codes[known] = np.minimum((numbers[known] - low) / width * BINS, BINS - 1)
    return _Column(name, kind, "range", codes=codes, size=BINS, ends=(low, high))


def _is_short_list(column: pa.ChunkedArray, distinct: int) -> bool:
    """Return whether numbers can be listed: few of them, and none that a filter can't write."""
    return distinct <= _FEW_NUMBERS and bool(pc.all(pc.is_finite(column)).as_py())


def _most(counts: IntArray, k: int) -> list[int]:
    """Return the codes of the ``k`` largest counts, largest first, ties in order; O(codes)."""
    if len(counts) > k:
        least = np.partition(counts, -k)[-k]
        held = np.concatenate([np.flatnonzero(counts > least), np.flatnonzero(counts == least)])[:k]
    else:
        held = np.arange(len(counts))
    found: list[int] = held[np.lexsort((held, -counts[held]))].tolist()
    return found


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
