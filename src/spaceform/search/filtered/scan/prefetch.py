"""Ask for memory before it is needed: rows that pass lie apart, and waiting for them takes longer than multiplying."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_READ, _KEEP, _DATA = 0, 3, 1
"""Arguments of ``llvm.prefetch``: to be read, to stay in all caches, data and not code."""


@intrinsic
def prefetch(typing_context, array, row, byte):  # type: ignore[no-untyped-def]  # compiled
    """Fetch the line of cache at a byte of a row of a matrix; nothing but time depends on it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        first = builder.mul(arguments[1], builder.extract_value(matrix.strides, 0))
        place = builder.gep(builder.bitcast(matrix.data, pointer), [builder.add(first, arguments[2])])
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        builder.call(
            builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind),
            [place, number(_READ), number(_KEEP), number(_DATA)],
        )
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate
