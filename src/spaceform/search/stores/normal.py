"""Filters in the form that compilers start from: no NOT but before a test, no NULL but where it is asked for.

Engines differ in what they make of missing values under NOT, of fractions beside integers, and of numbers beyond 64
bits. In this form none of that is left: negation has moved to the tests (De Morgan), each test says that its column is
not missing, dates and moments are integers, and integers are compared with integers in range, above the lowest.
Whatever logic an engine has, two-valued or three-valued, it selects the same rows.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from spaceform.search.filter_kernels import since_epoch
from spaceform.search.filter_literals import Literal
from spaceform.search.filter_logic import And, Chain, Constant, Expr, Not, Or
from spaceform.search.filter_predicates import Between, Comparison, In, IsNull, Predicate
from spaceform.search.stores.collection import Collection, FieldType

LOW, HIGH = -(2**63), 2**63 - 1
_DAY = 86_400_000_000
_OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def normal(expr: Expr, collection: Collection, *, negated: bool = False) -> Expr:
    """Return the rows where a checked ``expr`` is true (or, ``negated``, false), over the columns of the engine.

    The answer is made of `And`, `Or`, `Constant` (only as the whole), `Comparison` and `In` of integers, float64, text
    and booleans, `Contains`, `Like`, `IsNull`, and `Not` right before the last four. O(nodes).
    """
    match expr:
        case Constant(value=value):
            return Constant(value != negated)
        case Not(part=part):
            return normal(part, collection, negated=not negated)
        case Chain(parts=parts):
            every = isinstance(expr, And) != negated
            return joined((normal(part, collection, negated=negated) for part in parts), every=every)
        case Between(column=column, low=low, high=high):
            ends = And((Comparison(column, ">=", low), Comparison(column, "<=", high)))
            return normal(ends, collection, negated=negated)
    assert isinstance(expr, Predicate)  # noqa: S101  nothing else is an expression
    kind, column = collection.fields[expr.column], collection.columns[expr.column]
    missing = IsNull(column)
    if isinstance(expr, IsNull):
        return Not(missing) if negated else missing
    return joined([Not(missing), _test(expr, column, kind, negated=negated)], every=True)


def joined(parts: Iterable[Expr], *, every: bool) -> Expr:
    """Combine by AND (``every``) or OR; constants are worked out."""
    kept = []
    for part in parts:
        if isinstance(part, Constant):
            if part.value != every:
                return part
        else:
            kept.append(part)
    if not kept:
        return Constant(every)
    return kept[0] if len(kept) == 1 else And(tuple(kept)) if every else Or(tuple(kept))


def renamed(expr: Expr, columns: Mapping[str, str]) -> Expr:
    """Return the expression over columns of other names."""
    match expr:
        case Not(part=part):
            return Not(renamed(part, columns))
        case Chain(parts=parts):
            return replace(expr, parts=tuple(renamed(part, columns) for part in parts))
        case Predicate(column=column):
            return replace(expr, column=columns[column])
    return expr


def _test(expr: Predicate, column: str, kind: FieldType, *, negated: bool) -> Expr:
    """Return the test of values that are there."""
    match expr:
        case Comparison(operator=operator, value=value):
            operator = _OPPOSITE[operator] if negated else operator
            target = _target(value, kind)
            if isinstance(target, Fraction):
                return _compared(column, operator, target)
            return Comparison(column, operator, Literal.of(target))
        case In(values=values):
            targets = [_target(value, kind) for value in values]
            inside = [Literal.of(int(t) if isinstance(t, Fraction) else t) for t in targets if _is_possible(t)]
            rest = tuple(one for one in inside if one.value != LOW or kind is FieldType.REAL)
            parts = [_maybe_not(In(column, rest) if rest else Constant(value=False), negated=negated)]
            if len(rest) < len(inside):
                parts.append(_with_lowest(column, "!=" if negated else "="))
            return joined(parts, every=negated)
    return _maybe_not(replace(expr, column=column), negated=negated)


def _maybe_not(expr: Expr, *, negated: bool) -> Expr:
    if isinstance(expr, Constant):
        return Constant(expr.value != negated)
    return Not(expr) if negated else expr


def _compared(column: str, operator: str, target: Fraction) -> Expr:
    """Compare integers with a rational number: the nearest integer that decides alike, or a constant out of range."""
    bound = math.ceil(target) if operator in ("<", ">=") else math.floor(target)
    if operator in ("=", "!=") and not _is_possible(target):
        return Constant(operator == "!=")
    if bound > HIGH:
        return Constant(operator in ("<", "<="))
    if bound < LOW:
        return Constant(operator in (">", ">="))
    if bound == LOW:
        return _with_lowest(column, operator)
    return Comparison(column, operator, Literal.of(bound))


def _with_lowest(column: str, operator: str) -> Expr:
    """Compare with the lowest integer without writing it, which engines read as minus a number that is too large."""
    if operator in ("<", ">="):
        return Constant(operator == ">=")
    return Comparison(column, "<" if operator in ("=", "<=") else ">=", Literal.of(LOW + 1))


def _is_possible(target: str | bool | float | Fraction) -> bool:
    """Whether a column can hold the value: fractions, and integers beyond 64 bits, are in no integer column."""
    return not isinstance(target, Fraction) or (target.denominator == 1 and LOW <= target <= HIGH)


def _target(literal: Literal, kind: FieldType) -> str | bool | float | Fraction:
    """Return what the stored column is compared with; a fraction for columns of integers."""
    value = literal.value
    if isinstance(value, str | bool):
        return value
    if isinstance(value, dt.date):
        return Fraction(since_epoch(value), _DAY if kind is FieldType.DATE else 1)
    return float(value) + 0.0 if kind is FieldType.REAL else Fraction(value)
