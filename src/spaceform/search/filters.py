"""Filters: conditions on attributes, written as text (``--where``) or in Python, one typed tree either way.

>>> str(parse("category = 'Food' and (year >= 2015 or year is null)"))
"category = 'Food' AND (year >= 2015 OR year IS NULL)"
>>> (F("category") == "Food") & ((F("year") >= 2015) | F("year").is_null()) == parse(
...     "category = 'Food' and (year >= 2015 or year is null)"
... )
True

An expression selects the rows of an Arrow table by `Expr.mask`; engines with a language of their own compile the
tree (all nodes are frozen dataclasses), so a filter means the same everywhere.

Missing values are SQL's unknown: ``year != 2015`` and ``NOT year = 2015`` both leave them out, ``year IS NULL``
finds them; NaN is a missing value. Text is compared by code points. A date column may be compared with ISO text;
times with a zone are turned to UTC, times without one are UTC. ``LIKE`` takes % and _, and a backslash before either
for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spaceform.search.filter_literals import Literal, Place, problem
from spaceform.search.filter_logic import MAX_DEPTH, And, Constant, Expr, Not, Or
from spaceform.search.filter_parser import Parser
from spaceform.search.filter_predicates import Between, Comparison, Contains, In, IsNull, Like, Predicate

__all__ = [
    "MAX_DEPTH",
    "And",
    "Between",
    "Comparison",
    "Constant",
    "Contains",
    "Expr",
    "F",
    "In",
    "IsNull",
    "Like",
    "Literal",
    "Not",
    "Or",
    "Place",
    "Predicate",
    "as_expression",
    "parse",
]


def parse(text: str) -> Expr:
    """Return the expression written in ``text``; O(characters).

    Raises ``FilterError``, whose message points at the word where the text goes wrong.
    """
    if not isinstance(text, str) or not text.strip():
        raise problem(repr(text)[:60], "a condition such as category = 'Food' AND year >= 2015")
    return Parser(text).parse()


def as_expression(where: str | Expr | None) -> Expr:
    """Return a filter given as text or expression; None is `TRUE`."""
    if where is None:
        return Constant(value=True)
    return where if isinstance(where, Expr) else parse(where)


class F:
    """A column in Python's notation for filters.

    >>> str((F("price").between(0, 0.9) | ~F("tag").isin(["new", "sale"])) & F("keywords").contains("cat"))
    "(price BETWEEN 0 AND 0.9 OR NOT tag IN ('new', 'sale')) AND keywords CONTAINS 'cat'"
    """

    __hash__ = None  # type: ignore[assignment]  # == makes a condition, so that a hash would be of no use

    def __init__(self, column: str) -> None:
        """Name the column."""
        self._column = column

    def __eq__(self, value: object) -> Comparison:  # type: ignore[override]
        """``column = value``."""
        return Comparison(self._column, "=", Literal.of(value))

    def __ne__(self, value: object) -> Comparison:  # type: ignore[override]
        """``column != value``."""
        return Comparison(self._column, "!=", Literal.of(value))

    def __lt__(self, value: Any) -> Comparison:
        """``column < value``."""
        return Comparison(self._column, "<", Literal.of(value))

    def __le__(self, value: Any) -> Comparison:
        """``column <= value``."""
        return Comparison(self._column, "<=", Literal.of(value))

    def __gt__(self, value: Any) -> Comparison:
        """``column > value``."""
        return Comparison(self._column, ">", Literal.of(value))

    def __ge__(self, value: Any) -> Comparison:
        """``column >= value``."""
        return Comparison(self._column, ">=", Literal.of(value))

    def between(self, low: Any, high: Any) -> Between:
        """``column BETWEEN low AND high``: both ends are included."""
        return Between(self._column, Literal.of(low), Literal.of(high))

    def isin(self, values: Iterable[Any]) -> Expr:
        """``column IN (values)``; no values select no row."""
        literals = tuple(Literal.of(value) for value in _listed(values))
        return In(self._column, literals) if literals else Constant(value=False)

    def is_null(self) -> IsNull:
        """``column IS NULL``: missing or NaN."""
        return IsNull(self._column)

    def contains(self, text: str) -> Contains:
        """``column CONTAINS 'text'``, for columns of lists of texts."""
        return Contains(self._column, (text,))

    def contains_any(self, texts: Iterable[str]) -> Contains:
        """``column CONTAINS ANY (texts)``."""
        return Contains(self._column, tuple(_listed(texts)))

    def contains_all(self, texts: Iterable[str]) -> Contains:
        """``column CONTAINS ALL (texts)``."""
        return Contains(self._column, tuple(_listed(texts)), every=True)

    def like(self, pattern: str) -> Like:
        r"""``column LIKE 'pattern'``: % any text, _ one character, \% and \_ themselves."""
        return Like(self._column, pattern)

    def ilike(self, pattern: str) -> Like:
        """``column ILIKE 'pattern'``: the same, case aside."""
        return Like(self._column, pattern, ignore_case=True)


def _listed(values: Any) -> list[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise problem(f"{values!r:.60}", "a list of values")
    return list(values)
