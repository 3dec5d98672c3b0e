"""From filters to the languages of engines: what they share is written once, what they can't say is worked out here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from spaceform.search.filter_literals import Literal
from spaceform.search.filter_logic import And, Chain, Constant, Expr, Not, Or
from spaceform.search.filter_predicates import Comparison, Contains, In, IsNull, Like
from spaceform.search.stores.collection import Collection
from spaceform.search.stores.engine import Rows
from spaceform.search.stores.normal import joined, normal
from spaceform.types import IntArray

ID, VECTOR = "id", "vector"
"""The engine's columns beside the fields, whose names begin with f."""


class Language(Protocol):
    """How an engine writes the tests of `normal`'s form, each as text that needs no parentheses around it."""

    def constant(self, *, value: bool) -> str:
        """Write what is true of all rows, or of none."""
        ...

    def compared(self, test: Comparison) -> str:
        """Write ``column operator value``."""
        ...

    def within(self, test: In) -> str:
        """Write that the column is one of the values."""
        ...

    def missing(self, test: IsNull) -> str:
        """Write that the column is missing."""
        ...

    def containing(self, test: Contains) -> str:
        """Write that the list contains one of the texts, or all."""
        ...

    def like(self, test: Like) -> str:
        """Write that the text has the pattern."""
        ...


class Sql(ABC):
    """Filters in SQL, but for lists; a value is written by `value`, as text in quotes or as a parameter."""

    @abstractmethod
    def value(self, value: Any) -> str:
        """Write an integer, a float64, a truth value or a text."""

    @abstractmethod
    def values(self, column: str, values: Sequence[Any]) -> str:
        """Write that the column is one of the values."""

    @abstractmethod
    def containing(self, test: Contains) -> str:
        """Write that the list contains one of the texts, or all."""

    def constant(self, *, value: bool) -> str:
        """Say ``true`` or ``false``."""
        return str(value).lower()

    def compared(self, test: Comparison) -> str:
        """Use the operators of the filter."""
        return f"{test.column} {test.operator} {self.value(test.value.value)}"

    def within(self, test: In) -> str:
        """Use what the engine has for lists of values."""
        return self.values(test.column, [value.value for value in test.values])

    def missing(self, test: IsNull) -> str:
        """Say ``is null``."""
        return f"{test.column} is null"

    def like(self, test: Like) -> str:
        """Write a pattern; the backslash stands before % and _ in SQL, too."""
        return f"{test.column} like {self.value(test.pattern)}"

    @staticmethod
    def says(test: Like) -> bool:
        """Whether the engine has the pattern: what case is, engines and locales disagree on."""
        return not test.ignore_case


def written(form: Expr, language: Language) -> str:
    """Return a filter in normal form as an engine reads it; O(nodes)."""
    match form:
        case Constant(value=value):
            return language.constant(value=value)
        case Not(part=part):
            return f"not ({written(part, language)})"
        case Chain(parts=parts):
            word = " and " if isinstance(form, And) else " or "
            return word.join(f"({written(part, language)})" for part in parts)
        case Comparison():
            return language.compared(form)
        case In():
            return language.within(form)
        case IsNull():
            return language.missing(form)
        case Contains():
            return language.containing(form)
        case Like():
            return language.like(form)
    raise TypeError(f"{type(form).__name__} is not in normal form")


def said(where: Expr, collection: Collection, *, says: Callable[[Like], bool], rows_of: Callable[[Expr], Rows]) -> Expr:
    """Return the normal form of ``where`` without the patterns that an engine can't say exactly as we do.

    The rows that pass all else (``rows_of``) are looked at here, and those that pass become a list of ids.
    """
    form = normal(where, collection)
    wider = _without(form, says)
    if wider == form:
        return form
    rows = rows_of(wider)
    return with_ids(rows.ids[rows.passing(where)])


def with_ids(ids: IntArray) -> Expr:
    """Return the filter that passes these ids."""
    return In(ID, tuple(map(Literal.of, ids.tolist()))) if len(ids) else Constant(value=False)


def _without(form: Expr, says: Callable[[Like], bool]) -> Expr:
    """Return a filter that passes the same rows and more: patterns that can't be said pass all."""
    match form:
        case Chain(parts=parts):
            kept = [_without(part, says) for part in parts]
            return form if kept == list(parts) else joined(kept, every=not isinstance(form, Or))
        case Like() | Not(part=Like()):
            test = form.part if isinstance(form, Not) else form
            return form if isinstance(test, Like) and says(test) else Constant(value=True)
    return form
