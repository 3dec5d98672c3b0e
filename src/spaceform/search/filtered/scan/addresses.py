"""Compiled scans as Python calls them: what does not change between queries is found by its address.

Python hands arrays over one by one, and counts references to each: with the twenty of rows and layout that takes
longer than to score a hundred rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

from spaceform.compiled import compiled
from spaceform.search.filtered.scan.asking import ask as ask_arrays
from spaceform.search.filtered.scan.batches.many import multiply as multiply_arrays


@intrinsic
def _pointer(typing_context, address):  # type: ignore[no-untyped-def]  # compiled
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), generate


@njit
def table_at(address, count):  # type: ignore[no-untyped-def]
    """Return the table of a `Memory` of so many arrays from its address."""
    return carray(_pointer(address), (count, 3), np.int64)


@njit
def vector(table, at, kind):  # type: ignore[no-untyped-def]
    """Return one of the arrays of a table, of one dimension; whoever holds the address holds the `Memory`, too."""
    return carray(_pointer(table[at, 0]), (table[at, 1],), kind)


@njit
def matrix(table, at, kind):  # type: ignore[no-untyped-def]
    """Return one of two dimensions."""
    return carray(_pointer(table[at, 0]), (table[at, 1], table[at, 2]), kind)


@compiled(error_model="numpy")
def base_at(address):  # type: ignore[no-untyped-def]
    """Return the arrays of a `Base` from the address of their `Memory`."""
    table = table_at(address, 3)
    return matrix(table, 0, np.float32), vector(table, 1, np.float64), vector(table, 2, np.int64)


@compiled(error_model="numpy")
def layout_at(address):  # type: ignore[no-untyped-def]
    """Return the arrays of a `Layout`, in its order, from the address of their `Memory`."""
    table = table_at(address, 17)
    return (
        vector(table, 0, np.int32),
        vector(table, 1, np.float64),
        matrix(table, 2, np.uint8),
        vector(table, 3, np.float32),
        matrix(table, 4, np.uint64),
        vector(table, 5, np.int64),
        matrix(table, 6, np.float32),
        vector(table, 7, np.float64),
        vector(table, 8, np.float64),
        vector(table, 9, np.float64),
        vector(table, 10, np.float64),
        vector(table, 11, np.float64),
        vector(table, 12, np.float64),
        vector(table, 13, np.float64),
        matrix(table, 14, np.float32),
        matrix(table, 15, np.uint8),
        vector(table, 16, np.float32),
    )


@compiled(error_model="numpy")
def ask(metric, wanted, matches, base, layout, queries, first, last, outputs):  # type: ignore[no-untyped-def]
    """Do what `asking.ask` does, with base and layout given by their addresses."""
    ask_arrays(metric, wanted, matches, base_at(base), layout_at(layout), queries, first, last, outputs)


@compiled(error_model="numpy")
def multiply(metric, places, base, layout, queries, outputs):  # type: ignore[no-untyped-def]
    """Do what `batches.many.multiply` does, with base and layout given by their addresses."""
    multiply_arrays(metric, places, base_at(base), layout_at(layout), queries, outputs)
