"""What Numba does not write by itself: memory asked for before it is needed, and sums over the columns of a row.

Rows that pass lie apart, and waiting for them takes longer than multiplying. A sum is one loop over registers of
several numbers, as LLVM has them for every processor; Numba makes such loops only where the order of additions is free.
Here it is fixed: column j is added to lane ``j % LANES``, as if zeros filled the last block, and at the end the second
half of the lanes is added to the first, until one is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from spaceform.search.filtered.scan.layout import LANES
from spaceform.search.filtered.scan.queries import PLANES

_READ, _KEEP, _DATA = 0, 3, 1
"""Arguments of ``llvm.prefetch``: to be read, to stay in all caches, data and not code."""

_BYTE, _SHORT, _INTEGER, _WORD = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_DOUBLE = ir.DoubleType()

QUAD = 4
"""Words that are looked at together."""


@intrinsic
def prefetch(typing_context, array, row, byte):  # type: ignore[no-untyped-def]  # compiled
    """Fetch the line of cache at a byte of a row of a matrix; nothing but time depends on it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start, _ = _row(context, builder, signature.args[0], arguments[0], arguments[1])
        write_prefetch(builder, builder.gep(start, [arguments[2]]))
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


def write_prefetch(builder: Any, address: Any) -> None:
    """Write, inside an intrinsic, what fetches the line of cache at an address of bytes."""
    kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _INTEGER, _INTEGER, _INTEGER])
    builder.call(
        builder.module.declare_intrinsic("llvm.prefetch", [_BYTE.as_pointer()], kind),
        [address, _INTEGER(_READ), _INTEGER(_KEEP), _INTEGER(_DATA)],
    )


@intrinsic
def product_of(typing_context, query, rows, row):  # type: ignore[no-untyped-def]
    """Multiply a query ``(d,)`` of float64 and a row (of a matrix, or a vector), which both hold float32 numbers.

    Products of these are exact in float64: it makes no difference that some processors multiply and add in one step.
    """

    def term(builder: Any, total: Any, left: Any, right: Any) -> Any:
        kind = ir.FunctionType(total.type, [total.type] * 3)
        both = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f64")
        return builder.call(both, [left, right, total])

    return types.float64(query, rows, types.int64), _summed(term)


@intrinsic
def squares_of(typing_context, query, rows, row):  # type: ignore[no-untyped-def]
    """Return the squared distance between a query and a row, in float64."""

    def term(builder: Any, total: Any, left: Any, right: Any) -> Any:
        gap = builder.fsub(left, right)
        return builder.fadd(total, builder.fmul(gap, gap))

    return types.float64(query, rows, types.int64), _summed(term)


@intrinsic
def weighed(typing_context, codes, row, weights):  # type: ignore[no-untyped-def]
    """Multiply a row of bytes with 16-bit weights; 32 bits must hold the sum."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        left, wide = _row(context, builder, signature.args[0], arguments[0], arguments[1])
        right, _ = _row(context, builder, signature.args[2], arguments[2], None)
        lanes, pairs = ir.VectorType(_INTEGER, LANES), ir.VectorType(_INTEGER, LANES // 2)
        total = cgutils.alloca_once(builder, pairs, zfill=True)
        rest = cgutils.alloca_once(builder, _INTEGER, zfill=True)
        with cgutils.for_range(builder, builder.udiv(wide, _WORD(LANES))) as loop:
            column = builder.mul(loop.index, _WORD(LANES))
            code = builder.zext(_columns(builder, left, column, _BYTE), lanes)
            weight = builder.sext(_columns(builder, right, column, _SHORT), lanes)
            both = builder.mul(code, weight)
            even, odd = (
                builder.shuffle_vector(both, both, pairs(list(range(first, LANES, 2)))) for first in (0, 1)
            )  # neighbours are added first: one instruction multiplies and adds them
            builder.store(builder.add(builder.load(total), builder.add(even, odd)), total)
        with cgutils.for_range(builder, builder.urem(wide, _WORD(LANES))) as loop:
            column = builder.sub(builder.sub(wide, loop.index), _WORD(1))
            code = builder.zext(builder.load(_place(builder, left, column, _BYTE)), _INTEGER)
            weight = builder.sext(builder.load(_place(builder, right, column, _SHORT)), _INTEGER)
            builder.store(builder.add(builder.load(rest), builder.mul(code, weight)), rest)
        kind = ir.FunctionType(_INTEGER, [pairs])
        reduce = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.add.v{LANES // 2}i32")
        return builder.add(builder.call(reduce, [builder.load(total)]), builder.load(rest))

    return types.int32(codes, types.int64, weights), generate


@intrinsic
def ones_in_common(typing_context, lines, row, planes):  # type: ignore[no-untyped-def]
    """Count the ones of a row of words that a number of several bits has, too: bit p of it is in row p of ``planes``.

    Ones of plane p count 2^p times. Words of planes are a multiple of `QUAD`, at most 40, and rows of ``lines`` no
    shorter.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        line, _ = _row(context, builder, signature.args[0], arguments[0], arguments[1])
        numbers = [_row(context, builder, signature.args[2], arguments[2], _WORD(p))[0] for p in range(PLANES)]
        words = _row(context, builder, signature.args[2], arguments[2], None)[1]
        quad, octets = ir.VectorType(_WORD, QUAD), ir.VectorType(_BYTE, 8 * QUAD)
        wide = ir.VectorType(_SHORT, 8 * QUAD)
        count = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(octets, [octets]), f"llvm.ctpop.v{8 * QUAD}i8"
        )
        total = cgutils.alloca_once(builder, octets, zfill=True)
        with cgutils.for_range(builder, builder.udiv(words, _WORD(QUAD))) as loop:
            column = builder.mul(loop.index, _WORD(QUAD))
            places = [_place(builder, start, column, _WORD) for start in (line, *numbers)]
            word, *others = (builder.load(builder.bitcast(place, quad.as_pointer()), align=8) for place in places)
            found = octets(None)
            for other in reversed(others):  # a byte holds at most 8 (2^PLANES - 1) of each of ten blocks
                ones = builder.call(count, [builder.bitcast(builder.and_(word, other), octets)])
                found = builder.add(builder.add(found, found), ones)
            builder.store(builder.add(builder.load(total), found), total)
        kind = ir.FunctionType(_SHORT, [wide])
        reduce = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.add.v{8 * QUAD}i16")
        return builder.zext(builder.call(reduce, [builder.zext(builder.load(total), wide)]), _WORD)

    return types.int64(lines, types.int64, planes), generate


def _summed(term: Callable[[Any, Any, Any, Any], Any]) -> Callable[[Any, Any, Any, Any], Any]:
    """Return what writes a sum over the columns of a vector and a row; ``term`` adds some of them to the lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        left, _ = _row(context, builder, signature.args[0], arguments[0], None)
        right, wide = _row(context, builder, signature.args[1], arguments[1], arguments[2])
        kinds = [context.get_data_type(kind.dtype) for kind in signature.args[:2]]
        lanes = ir.VectorType(_DOUBLE, LANES)
        total = cgutils.alloca_once(builder, lanes, zfill=True)

        def add(places: list[Any], column: Any) -> None:
            both = [_columns(builder, place, column, kind) for place, kind in zip(places, kinds, strict=True)]
            exact = [value if value.type == lanes else builder.fpext(value, lanes) for value in both]
            builder.store(term(builder, builder.load(total), *exact), total)

        with cgutils.for_range(builder, builder.udiv(wide, _WORD(LANES))) as loop:
            add([left, right], builder.mul(loop.index, _WORD(LANES)))
        rest = builder.urem(wide, _WORD(LANES))
        with builder.if_then(builder.icmp_unsigned("!=", rest, _WORD(0))):
            padded = []
            for place, kind in zip((left, right), kinds, strict=True):
                room = cgutils.alloca_once(builder, ir.ArrayType(kind, LANES), zfill=True)
                start = _place(builder, place, builder.sub(wide, rest), kind)
                cgutils.raw_memcpy(builder, room, start, rest, _bytes(kind))
                padded.append(builder.bitcast(room, _BYTE.as_pointer()))
            add(padded, _WORD(0))
        return _halved(builder, builder.load(total))

    return generate


def _halved(builder: Any, lanes: Any) -> Any:
    """Add up lanes: the second half to the first, until one is left."""
    width = LANES
    while width > 1:
        width //= 2
        kind = ir.VectorType(_INTEGER, width)
        first, second = kind(list(range(width))), kind(list(range(width, 2 * width)))
        lanes = builder.fadd(builder.shuffle_vector(lanes, lanes, first), builder.shuffle_vector(lanes, lanes, second))
    return builder.extract_element(lanes, _INTEGER(0))


def _row(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> tuple[Any, Any]:
    """Return the address of a row of a matrix, or of a vector, and the number of columns, which are not strided."""
    if kind.layout != "C":
        raise TypeError(f"rows must lie in memory one after the other, got {kind}")
    made = context.make_array(kind)(context, builder, array)
    start = builder.bitcast(made.data, _BYTE.as_pointer())
    if row is not None and kind.ndim > 1:
        start = builder.gep(start, [builder.mul(row, builder.extract_value(made.strides, 0))])
    return start, builder.extract_value(made.shape, kind.ndim - 1)


def _bytes(kind: Any) -> int:
    return kind.width // 8 if isinstance(kind, ir.IntType) else 8 if kind == _DOUBLE else 4


def _place(builder: Any, start: Any, column: Any, kind: Any) -> Any:
    place = builder.gep(start, [builder.mul(column, _WORD(_bytes(kind)))])
    return builder.bitcast(place, kind.as_pointer())


def _columns(builder: Any, start: Any, column: Any, kind: Any) -> Any:
    """Load `LANES` columns from one on."""
    place = builder.bitcast(_place(builder, start, column, kind), ir.VectorType(kind, LANES).as_pointer())
    return builder.load(place, align=_bytes(kind))


__all__ = ["LANES", "QUAD", "ones_in_common", "prefetch", "product_of", "squares_of", "weighed", "write_prefetch"]
