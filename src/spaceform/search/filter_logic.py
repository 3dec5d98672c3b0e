"""The expressions of filters: typed, immutable trees that check, evaluate and print themselves.

One tree is behind ``--where`` and the Python builder. Logic is SQL's, with three values: comparing a missing value
is neither true nor false but unknown, so is its negation, and a row passes only where the whole is true. NaN is a
missing value. Every node knows how deep it is, and none is deeper than `MAX_DEPTH`, so that no recursion over a
tree can run out of stack.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from spaceform.search import filter_kernels as kernels
from spaceform.search.attributes import Schema
from spaceform.search.filter_literals import problem
from spaceform.types import BoolArray

MAX_DEPTH = 100
"""Levels of AND, OR and NOT inside each other (a chain of one kind is one level)."""


class Expr(ABC):
    """A condition on the attributes of a row. Combine with ``&``, ``|`` and ``~``; ``str`` gives its canonical text."""

    depth: int = 1

    @abstractmethod
    def check(self, schema: Schema) -> Expr:
        """Return the expression with literals fitted to the columns' kinds, or raise a ``FilterError`` that points."""

    @abstractmethod
    def truth(self, table: pa.Table) -> pa.ChunkedArray:
        """Return true, false or null (unknown) per row; for a checked expression. O(rows) per predicate."""

    @abstractmethod
    def columns(self) -> frozenset[str]:
        """Return the names of the columns that it reads."""

    def mask(self, table: pa.Table) -> BoolArray:
        """Return whether each row of ``table`` passes, ``(n,)`` bool. Raises ``FilterError`` where it does not fit."""
        truth = self.check(Schema.of(table)).truth(table)
        return truth.fill_null(False).to_numpy().astype(bool)

    def __and__(self, other: Expr) -> Expr:
        """Both hold."""
        return And((self, _expression(other)))

    def __or__(self, other: Expr) -> Expr:
        """At least one holds."""
        return Or((self, _expression(other)))

    def __invert__(self) -> Expr:
        """It does not hold."""
        return Not(self)

    def __bool__(self) -> bool:
        """Refuse to be a truth value: ``and``, ``or``, ``not`` and ``0 < F("x") < 1`` would lose a part."""
        raise problem(f"{self} as a truth value", "&, | and ~ between conditions", "write F('x').between(0, 1)")


def _expression(value: object) -> Expr:
    if not isinstance(value, Expr):
        raise problem(
            f"{value!r:.60}", "a condition such as F('x') == 1", "put conditions in parentheses around & and |"
        )
    return value


@dataclass(frozen=True)
class Constant(Expr):
    """``TRUE`` or ``FALSE``: every row or none."""

    value: bool

    def check(self, schema: Schema) -> Expr:
        """Fits any table."""
        return self

    def truth(self, table: pa.Table) -> pa.ChunkedArray:
        """Say the same of every row."""
        return kernels.constant(len(table), value=self.value)

    def columns(self) -> frozenset[str]:
        """Return none."""
        return frozenset()

    def __str__(self) -> str:
        """Return the canonical text."""
        return str(self.value).upper()


@dataclass(frozen=True)
class Not(Expr):
    """``NOT part``: unknown stays unknown."""

    part: Expr
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Count the levels."""
        object.__setattr__(self, "depth", _levels((_expression(self.part),)))

    def check(self, schema: Schema) -> Expr:
        """Check the part."""
        part = self.part.check(schema)
        return self if part is self.part else replace(self, part=part)

    def truth(self, table: pa.Table) -> pa.ChunkedArray:
        """Turn true and false around."""
        return pc.invert(self.part.truth(table))

    def columns(self) -> frozenset[str]:
        """Return those of the part."""
        return self.part.columns()

    def __str__(self) -> str:
        """Return the canonical text."""
        return f"NOT ({self.part})" if isinstance(self.part, Chain) else f"NOT {self.part}"


@dataclass(frozen=True)
class Chain(Expr):
    """Parts under one connective; a chain in a chain of the same kind is taken apart, so that groupings are equal."""

    parts: tuple[Expr, ...]
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Flatten, and count the levels."""
        parts: list[Expr] = []
        for part in map(_expression, self.parts):
            parts.extend(part.parts if isinstance(part, Chain) and type(part) is type(self) else [part])
        if len(parts) < 2:
            raise problem(f"{len(parts)} condition(s)", "at least two to combine")
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "depth", _levels(self.parts))

    def check(self, schema: Schema) -> Expr:
        """Check the parts."""
        parts = tuple([part.check(schema) for part in self.parts])
        return self if parts == self.parts else replace(self, parts=parts)

    def columns(self) -> frozenset[str]:
        """Return those of the parts."""
        return frozenset[str]().union(*(part.columns() for part in self.parts))


@dataclass(frozen=True)
class And(Chain):
    """``part AND part ...``."""

    def truth(self, table: pa.Table) -> pa.ChunkedArray:
        """Combine: false wins over unknown."""
        return reduce(pc.and_kleene, (part.truth(table) for part in self.parts))

    def __str__(self) -> str:
        """Return the canonical text."""
        return " AND ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True)
class Or(Chain):
    """``part OR part ...``."""

    def truth(self, table: pa.Table) -> pa.ChunkedArray:
        """Combine: true wins over unknown."""
        return reduce(pc.or_kleene, (part.truth(table) for part in self.parts))

    def __str__(self) -> str:
        """Return the canonical text."""
        return " OR ".join(map(str, self.parts))


def _levels(parts: tuple[Expr, ...]) -> int:
    depth = 1 + max(part.depth for part in parts)
    if depth > MAX_DEPTH:
        raise problem(f"AND, OR and NOT nested {depth} deep", f"at most {MAX_DEPTH} levels")
    return depth
