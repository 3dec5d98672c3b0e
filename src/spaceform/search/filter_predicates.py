"""The predicates of filters: one condition on one column each."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from spaceform.search import filter_kernels as kernels
from spaceform.search.attributes import Kind, Schema
from spaceform.search.filter_literals import Literal, Place, check_text, problem, quoted
from spaceform.search.filter_logic import Expr

RESERVED = frozenset({"AND", "OR", "NOT", "IN", "BETWEEN", "IS", "NULL", "LIKE", "ILIKE", "CONTAINS", "TRUE", "FALSE"})
"""Words that name a column only in double quotes."""

_MAX_PATTERN = 1_000
_PATTERN = re.compile(r"(?:[^\\]|\\[\\%_])*", re.DOTALL)
_ORDERED = (Kind.NUMBER, Kind.TEXT, Kind.DATE, Kind.TIMESTAMP)
_EQUATABLE = (*_ORDERED, Kind.BOOLEAN)
_SIMPLE = (Kind.NUMBER, Kind.TEXT)
"""Kinds whose literals need no fitting. These are tuples: Python takes longer to hash a kind than to compare it."""


@dataclass(frozen=True)
class Predicate(Expr):
    """A condition on one column."""

    column: str
    place: Place | None = field(default=None, compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what is no column name."""
        if not isinstance(self.column, str) or not self.column:
            raise problem(f"{self.column!r}", "the name of a column", place=self.place)
        check_text(self.column, self.place)

    def columns(self) -> frozenset[str]:
        """Return its one column."""
        return frozenset({self.column})

    def kind(self, schema: Schema, allowed: Collection[Kind] = tuple(Kind), remedy: str = "") -> Kind:
        """Return the kind of the column if it is ``allowed``; else the error names columns that look alike."""
        if self.column not in schema.kinds:
            near = schema.near(self.column)
            known = ", ".join(list(schema.kinds)[:20]) + (", ..." if len(schema.kinds) > 20 else "")
            hint = "did you mean " + " or ".join(map(repr, near)) + "?" if near else ""
            raise problem(f"{self.column!r}", f"one of the columns {known}", hint, place=self.place)
        found = schema.kinds[self.column]
        if found not in allowed:
            wanted = ", ".join(kind for kind in Kind if kind in allowed)
            raise problem(f"the {found} column {self.column!r}", f"a column of {wanted}", remedy, place=self.place)
        return found

    @property
    def name(self) -> str:
        """The column as it is written: quoted where it is no plain word."""
        plain = self.column.isidentifier() and self.column.upper() not in RESERVED
        return self.column if plain else quoted(self.column, '"')


@dataclass(frozen=True)
class Comparison(Predicate):
    """``column operator value``, the operator one of = != < <= > >=."""

    operator: str
    value: Literal

    def __post_init__(self) -> None:
        """Refuse unknown operators."""
        super().__post_init__()
        if self.operator not in kernels.OPERATORS:
            raise problem(f"{self.operator!r}", "one of " + " ".join(kernels.OPERATORS), place=self.place)

    def check(self, schema: Schema) -> Expr:
        """Fit the value; order needs an ordered kind."""
        if self.value.kind in _SIMPLE and schema.kinds.get(self.column) is self.value.kind:
            return self  # any operator will do
        ordered = self.operator not in ("=", "!=")
        remedy = f"ask {self.name} CONTAINS 'word'" if schema.kinds.get(self.column) is Kind.TEXTS else ""
        kind = self.kind(schema, _ORDERED if ordered else _EQUATABLE, remedy)
        value = self.value.fitting(kind, self.column)
        return self if value is self.value else replace(self, value=value)

    def truth(self, table: pa.Table) -> pa.ChunkedArray:
        """Compare."""
        return kernels.compare(table, self.column, operator=self.operator, literal=self.value)

    def __str__(self) -> str:
        """Return the canonical text."""
        return f"{self.name} {self.operator} {self.value}"


@dataclass(frozen=True)
class In(Predicate):
    """``column IN (value, ...)``: equal to one of them; at least one is needed."""

    values: tuple[Literal, ...]

    def __post_init__(self) -> None:
        """Refuse an empty list."""
        super().__post_init__()
        if not self.values:
            raise problem("an empty list", "at least one value", place=self.place)

    def check(self, schema: Schema) -> Expr:
        """Fit the values."""
        remedy = f"ask {self.name} CONTAINS ANY ('word', ...)" if schema.kinds.get(self.column) is Kind.TEXTS else ""
        kind = self.kind(schema, _EQUATABLE, remedy)
        values = tuple([value.fitting(kind, self.column) for value in self.values])
        return self if values == self.values else replace(self, values=values)

    def truth(self, table: pa.Table) -> pa.ChunkedArray:
        """Look the values up."""
        return kernels.is_in(table, self.column, self.values)

    def __str__(self) -> str:
        """Return the canonical text."""
        return f"{self.name} IN ({', '.join(map(str, self.values))})"


@dataclass(frozen=True)
class Between(Predicate):
    """``column BETWEEN low AND high``, both ends included."""

    low: Literal
    high: Literal

    def check(self, schema: Schema) -> Expr:
        """Fit the ends; they must be in order."""
        kind = self.kind(schema, _ORDERED)
        low, high = self.low.fitting(kind, self.column), self.high.fitting(kind, self.column)
        if not kernels.in_order(low, high):
            raise problem(f"BETWEEN {low} AND {high}", "the lower end first", place=self.low.place or self.place)
        return self if low is self.low and high is self.high else replace(self, low=low, high=high)

    def truth(self, table: pa.Table) -> pa.ChunkedArray:
        """Compare with both ends."""
        above = kernels.compare(table, self.column, operator=">=", literal=self.low)
        return pc.and_kleene(above, kernels.compare(table, self.column, operator="<=", literal=self.high))

    def __str__(self) -> str:
        """Return the canonical text."""
        return f"{self.name} BETWEEN {self.low} AND {self.high}"


@dataclass(frozen=True)
class IsNull(Predicate):
    """``column IS NULL``: missing, or NaN."""

    def check(self, schema: Schema) -> Expr:
        """Any column will do."""
        self.kind(schema)
        return self

    def truth(self, table: pa.Table) -> pa.ChunkedArray:
        """Look for missing values."""
        return kernels.is_null(table, self.column)

    def __str__(self) -> str:
        """Return the canonical text."""
        return f"{self.name} IS NULL"


@dataclass(frozen=True)
class Contains(Predicate):
    """``column CONTAINS 'a'``, ``CONTAINS ANY ('a', 'b')`` or ``CONTAINS ALL (...)``, for columns of lists of texts."""

    texts: tuple[str, ...]
    every: bool = False

    def __post_init__(self) -> None:
        """Refuse an empty list and what is not text; ANY and ALL of one text are the same."""
        super().__post_init__()
        if not self.texts or not all(isinstance(text, str) for text in self.texts):
            raise problem(f"{self.texts!r:.60}", "one text or more to look for", place=self.place)
        for text in self.texts:
            check_text(text, self.place)
        object.__setattr__(self, "every", self.every and len(self.texts) > 1)

    def check(self, schema: Schema) -> Expr:
        """The column must hold lists."""
        if schema.kinds.get(self.column) is Kind.TEXTS:
            return self
        self.kind(schema, (Kind.TEXTS,), f"for parts of a text ask {self.name} LIKE '%part%'")
        return self

    def truth(self, table: pa.Table) -> pa.ChunkedArray:
        """Look the texts up."""
        return kernels.contains(table, self.column, self.texts, every=self.every)

    def __str__(self) -> str:
        """Return the canonical text."""
        texts = ", ".join(quoted(text, "'") for text in self.texts)
        if len(self.texts) == 1:
            return f"{self.name} CONTAINS {texts}"
        return f"{self.name} CONTAINS {'ALL' if self.every else 'ANY'} ({texts})"


@dataclass(frozen=True)
class Like(Predicate):
    r"""``column LIKE 'pattern'``: % stands for any text, _ for one character; \% \_ \\ for themselves."""

    pattern: str
    ignore_case: bool = False

    def __post_init__(self) -> None:
        """Refuse patterns that end in, or misuse, the backslash, and very long ones."""
        super().__post_init__()
        check_pattern(self.pattern, self.place)

    def check(self, schema: Schema) -> Expr:
        """The column must be text."""
        remedy = f"ask {self.name} CONTAINS 'word'" if schema.kinds.get(self.column) is Kind.TEXTS else ""
        self.kind(schema, (Kind.TEXT,), remedy)
        return self

    def truth(self, table: pa.Table) -> pa.ChunkedArray:
        """Match."""
        return kernels.like(table, self.column, self.pattern, ignore_case=self.ignore_case)

    def __str__(self) -> str:
        """Return the canonical text."""
        return f"{self.name} {'ILIKE' if self.ignore_case else 'LIKE'} {quoted(self.pattern, chr(39))}"


def check_pattern(pattern: object, place: Place | None) -> str:
    """Return a pattern that `Like` takes."""
    if not isinstance(pattern, str) or len(pattern) > _MAX_PATTERN:
        raise problem(f"{pattern!r:.60}", f"a pattern of at most {_MAX_PATTERN} characters", place=place)
    check_text(pattern, place)
    if not _PATTERN.fullmatch(pattern):
        raise problem("a backslash before another character", r"\%, \_ or \\ in a pattern", place=place)
    return pattern
