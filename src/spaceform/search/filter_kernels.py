"""The predicates of filters on Arrow columns, in SQL's three-valued logic: null where the answer is unknown."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spaceform.search.attributes import readable
from spaceform.search.filter_literals import Constant, Literal

OPERATORS = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_DAY = 86_400_000_000
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def compare(table: pa.Table, column: str, *, operator: str, literal: Literal) -> pa.ChunkedArray:
    """Return ``column operator literal`` per row; null where the column is null or NaN.

    Integers, dates and timestamps are compared exactly, also with fractions and with numbers out of their range;
    floats at the precision of the column, to which the literal is rounded. Text goes by code points.
    """
    values = readable(table, column)
    target = _target(literal.value, table.schema.field(column).type)
    if isinstance(target, Fraction):
        return _compare_integers(values, operator, target)
    if isinstance(target, float):
        with np.errstate(over="ignore"):  # beyond float32 is infinitely far for a float32 column
            target = float(np.dtype(values.type.to_pandas_dtype()).type(target))
    return OPERATORS[operator](values, pa.scalar(target, values.type))


def is_in(table: pa.Table, column: str, literals: Sequence[Literal]) -> pa.ChunkedArray:
    """Return whether the value is one of ``literals``; null where the column is null or NaN. O(rows + literals)."""
    values = readable(table, column)
    targets = [_target(literal.value, table.schema.field(column).type) for literal in literals]
    if pa.types.is_integer(values.type):
        low, high = _range(values.type)
        whole = [int(t) for t in targets if isinstance(t, Fraction) and t.denominator == 1 and low <= t <= high]
        allowed = pa.array(whole, values.type)
    elif pa.types.is_floating(values.type):
        with np.errstate(over="ignore"):
            allowed = pa.array(np.array(targets, dtype=np.float64).astype(values.type.to_pandas_dtype()))
        allowed = pc.add(allowed, pa.scalar(0, values.type))  # -0.0 is 0.0, but not to a hash table
        values = pc.add(values, pa.scalar(0, values.type))
    else:
        allowed = pa.array(targets, values.type)
    return _unknown_where_null(pc.is_in(values, value_set=allowed), values)


def is_null(table: pa.Table, column: str) -> pa.ChunkedArray:
    """Return whether the value is null or NaN; never null itself."""
    return readable(table, column).is_null()


def contains(table: pa.Table, column: str, texts: Sequence[str], *, every: bool) -> pa.ChunkedArray:
    """Return whether the list has one (or ``every`` one) of ``texts``; null where the list is null."""
    chunks = []
    for chunk in readable(table, column).chunks:
        parents = pc.list_parent_indices(chunk).to_numpy()
        values = chunk.flatten()
        wanted = [[text] for text in dict.fromkeys(texts)] if every else [list(texts)]
        found = np.full(len(chunk), every)
        for group in wanted:
            hits = pc.is_in(values, value_set=pa.array(group, pa.string())).to_numpy(zero_copy_only=False)
            has = np.zeros(len(chunk), dtype=bool)
            has[parents[hits]] = True
            found = found & has if every else has
        chunks.append(pa.array(found, mask=chunk.is_null().to_numpy(zero_copy_only=False)))
    return pa.chunked_array(chunks, pa.bool_())


def like(table: pa.Table, column: str, pattern: str, *, ignore_case: bool) -> pa.ChunkedArray:
    """Return whether the whole text matches ``pattern``: % any text, _ one character, after a backslash themselves."""
    return pc.match_like(readable(table, column), pattern, ignore_case=ignore_case)


def in_order(low: Literal, high: Literal) -> bool:
    """Return whether ``low <= high``, for literals of one kind (or both of them times)."""
    if isinstance(low.value, dt.date) and isinstance(high.value, dt.date):
        return since_epoch(low.value) <= since_epoch(high.value)
    first: Any = low.value
    return bool(first <= high.value)


def constant(rows: int, *, value: bool) -> pa.ChunkedArray:
    """Return ``value`` for every row."""
    return pa.chunked_array([pa.array(np.full(rows, value))])


def _compare_integers(values: pa.ChunkedArray, operator: str, target: Fraction) -> pa.ChunkedArray:
    """Compare integers with a rational number: round it to the integer that decides alike, then mind the range."""
    bound = math.ceil(target) if operator in ("<", ">=") else math.floor(target)
    low, high = _range(values.type)
    if operator in ("=", "!=") and (bound != target or not low <= bound <= high):
        answer = operator == "!="
    elif bound > high:
        answer = operator in ("<", "<=")
    elif bound < low:
        answer = operator in (">", ">=")
    else:
        return OPERATORS[operator](values, pa.scalar(bound, values.type))
    return _unknown_where_null(constant(len(values), value=answer), values)


def _unknown_where_null(answer: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(values.is_valid(), answer, pa.scalar(None, pa.bool_()))


def _range(kind: pa.DataType) -> tuple[int, int]:
    limits = np.iinfo(kind.to_pandas_dtype())
    return int(limits.min), int(limits.max)


def _target(value: Constant, kind: pa.DataType) -> str | bool | float | Fraction:
    """Turn a literal's value into what the readable form of a column of type ``kind`` is compared with."""
    if isinstance(value, str | bool):
        return value
    if isinstance(value, dt.date):
        unit = Fraction(1, _DAY) if pa.types.is_date(kind) else Fraction(_PER_SECOND[kind.unit], 10**6)
        return since_epoch(value) * unit
    return float(value) if pa.types.is_floating(kind) else Fraction(value)


def since_epoch(moment: dt.date) -> int:
    """Return microseconds since 1970, UTC."""
    time = dt.timedelta()
    if isinstance(moment, dt.datetime):
        midnight = dt.datetime.combine(moment.date(), dt.time())
        time = moment - midnight
    days = moment.toordinal() - dt.date(1970, 1, 1).toordinal()
    return days * _DAY + time // dt.timedelta(microseconds=1)
