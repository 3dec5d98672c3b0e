"""Filters for peers that know only ids, and for those with a language of their own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.errors import InputError
from spaceform.search.filters import And, Between, Comparison, Contains, Expr, Or
from spaceform.types import BoolArray, IntArray


class Masks:
    """Evaluates a filter to booleans in NumPy, as a careful user of a library without attributes would.

    Texts are numbers of their dictionary, sets are posting lists; a comparison is one pass over a column.
    """

    def __init__(self, columns: Mapping[str, Any], n: int) -> None:
        """Encode the columns; O(n) each."""
        self.n = n
        self._codes: dict[str, tuple[NDArray[np.int32], dict[str, int]]] = {}
        self._numbers: dict[str, NDArray] = {}
        self._lists: dict[str, dict[str, IntArray]] = {}
        for name, values in columns.items():
            if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
                self._numbers[name] = values
            elif len(values) and isinstance(values[0], str):
                known: dict[str, int] = {}
                codes = [known.setdefault(value, len(known)) for value in values]
                self._codes[name] = np.array(codes, dtype=np.int32), known
            else:
                owners: dict[str, list[int]] = {}
                for row, held in enumerate(values):
                    for value in held:
                        owners.setdefault(value, []).append(row)
                self._lists[name] = {value: np.array(rows) for value, rows in owners.items()}

    def __call__(self, where: Expr) -> BoolArray:
        """Return who passes, ``(n,)``. Raises ``InputError`` for conditions that no cell draws."""
        if isinstance(where, And | Or):
            join = np.logical_and if isinstance(where, And) else np.logical_or
            return reduce(join, map(self, where.parts))
        if isinstance(where, Comparison) and where.operator == "=":
            if where.column in self._codes:
                codes, known = self._codes[where.column]
                return codes == known.get(str(where.value.value), -1)
            return np.asarray(self._numbers[where.column] == where.value.value)
        if isinstance(where, Between):
            column = self._numbers[where.column]
            return np.asarray((column >= where.low.value) & (column <= where.high.value))
        if isinstance(where, Contains):
            mask = np.zeros(self.n, dtype=bool)
            for text in where.texts:
                mask[self._lists[where.column].get(text, np.empty(0, np.int64))] = True
            return mask
        raise _unknown(where)


def sql(where: Expr, has: str) -> str:
    """Return a filter in SQL; ``has`` is the function that looks into lists: ``list_contains`` or ``array_has``."""
    if isinstance(where, And):
        return " AND ".join(f"({sql(part, has)})" for part in where.parts)
    if isinstance(where, Contains) and len(where.texts) == 1:
        return f"{has}({where.column}, {_quoted(where.texts[0])})"
    if isinstance(where, Comparison | Between):
        return str(where)
    raise _unknown(where)


def milvus(where: Expr) -> str:
    """Return a filter in the language of Milvus."""
    if isinstance(where, And):
        return " and ".join(f"({milvus(part)})" for part in where.parts)
    if isinstance(where, Contains) and len(where.texts) == 1:
        return f'array_contains({where.column}, "{where.texts[0]}")'
    if isinstance(where, Comparison) and where.operator == "=":
        value = where.value.value
        return f"{where.column} == " + (f'"{value}"' if isinstance(value, str) else str(value))
    if isinstance(where, Between):
        return f"{where.column} >= {where.low} and {where.column} <= {where.high}"
    raise _unknown(where)


def conjuncts(where: Expr) -> tuple[Expr, ...]:
    """Return the parts of a conjunction, or the one condition."""
    return where.parts if isinstance(where, And) else (where,)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unknown(where: Expr) -> InputError:
    return InputError("where", got=str(where), expected="a conjunction of =, BETWEEN and CONTAINS 'one text'")
