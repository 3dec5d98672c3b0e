"""A piece of a matrix product that stays in the registers: `HEIGHT` rows, wherever they lie, times `WIDTH` queries.

BLAS needs its rows side by side and writes every product; here neither rows nor products are copied. The code is made
for LLVM by hand, because twelve sums over vectors of eight must all be held in registers, which no loop in Python
tells it: per coordinate, eight loads for twelve multiply-adds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic

from spaceform.search.filtered.scan.instructions import write_prefetch

HEIGHT = 6
"""Rows of a tile."""

LANES = 8
"""Numbers of a vector; a processor whose vectors are shorter takes several for one."""

WIDTH = 2 * LANES
"""Queries of a tile."""

_CHUNK = 16
"""Coordinates of a line of cache: so often the rows that come next are fetched."""

_BYTE, _WORD, _NUMBER, _FLOAT = ir.IntType(8), ir.IntType(64), ir.IntType(32), ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FUSED = ("contract",)
"""To multiply and add may be one instruction, rounded once."""


@intrinsic(prefer_literal=True)
def tile(typing_context, rows, places, at, following, asked, number, out, vectors):  # type: ignore[no-untyped-def]  # compiled
    """Fill ``out (HEIGHT, WIDTH)`` with products of the rows ``places[at:at + HEIGHT]`` and queries of a tile.

    ``rows (n, d)`` and ``asked (tiles, d, WIDTH)`` float32, C-contiguous, d >= 1; ``vectors`` is the literal 1 or 2:
    half of the queries (zeros for the others) or all. Those at ``places[following:following + HEIGHT]`` are fetched
    meanwhile.
    """
    if not isinstance(vectors, types.IntegerLiteral):
        raise RequireLiteralValue("vectors")
    wide = vectors.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix, listed, queries, result = (
            context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 1, 4, 6)
        )
        at, following, number = arguments[2], arguments[3], arguments[5]
        now = [_row(builder, matrix, listed, at, r) for r in range(HEIGHT)]
        later = [_row(builder, matrix, listed, following, r) for r in range(HEIGHT)]
        step = builder.extract_value(queries.strides, 0)
        first = builder.gep(builder.bitcast(queries.data, _BYTE.as_pointer()), [builder.mul(number, step)])
        sums = _sums(builder, (now, later, first), builder.extract_value(queries.shape, 1), wide)
        start = builder.bitcast(result.data, _BYTE.as_pointer())
        for r, row in enumerate(sums):
            for v in range(WIDTH // LANES):
                total = row[v] if v < wide else _zero()
                _store(builder, total, start, _WORD(4 * (WIDTH * r + LANES * v)))
        return context.get_dummy_value()

    return types.void(rows, places, types.int64, types.int64, asked, types.int64, out, vectors), generate


@intrinsic
def passing(typing_context, out, r, number, numbers, slack, floor):  # type: ignore[no-untyped-def]
    """Turn products of row ``r`` of a tile into upper bounds; return which reach the ``floor``, as `WIDTH` bits.

    ``numbers`` are the factor of the row, the length that ``slack (tiles * WIDTH,)`` is multiplied with, and what is
    added; all float32.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = [context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 4, 5)]
        bounds, above, below = (builder.bitcast(array.data, _BYTE.as_pointer()) for array in arrays)
        factor, length, added = (_spread(builder, builder.extract_value(arguments[3], i)) for i in range(3))
        row = builder.mul(arguments[1], _WORD(4 * WIDTH))
        column = builder.mul(arguments[2], _WORD(4 * WIDTH))
        found = _WORD(0)
        for v in range(WIDTH // LANES):
            here, there = (builder.add(spot, _WORD(4 * LANES * v)) for spot in (row, column))
            slack = _multiplied(builder, _load(builder, above, there), length, added)
            bound = _multiplied(builder, _load(builder, bounds, here), factor, slack)
            _store(builder, bound, bounds, here)
            bits = builder.fcmp_ordered(">=", bound, _load(builder, below, there))
            mask = builder.zext(builder.bitcast(bits, ir.IntType(LANES)), _WORD)
            found = builder.or_(found, builder.shl(mask, _WORD(LANES * v)))
        return found

    return types.int64(out, types.int64, types.int64, types.UniTuple(types.float32, 3), slack, floor), generate


def _sums(builder: Any, pointers: Any, d: Any, wide: int) -> list[list[Any]]:
    """Write the loop over the coordinates; return the sums, by row and vector."""
    now, later, asked = pointers
    zero = _zero()
    entry = builder.block
    chunk, step, end, done = (builder.append_basic_block(name) for name in ("chunk", "step", "end", "done"))
    builder.branch(chunk)
    builder.position_at_end(chunk)
    first = builder.phi(_WORD)
    held = [builder.phi(_VECTOR) for _ in range(HEIGHT * wide)]
    for value, start in [(first, _WORD(0)), *((one, zero) for one in held)]:
        value.add_incoming(start, entry)
    for pointer in later:
        write_prefetch(builder, builder.gep(pointer, [builder.mul(first, _WORD(4))]))
    stop = builder.add(first, _WORD(_CHUNK))
    stop = builder.select(builder.icmp_signed("<", stop, d), stop, d)
    builder.branch(step)
    builder.position_at_end(step)
    j = builder.phi(_WORD)
    sums = [builder.phi(_VECTOR) for _ in held]
    for value, start in [(j, first), *zip(sums, held, strict=True)]:
        value.add_incoming(start, chunk)
    here = builder.mul(j, _WORD(4))
    place = builder.mul(j, _WORD(4 * WIDTH))
    weights = [_load(builder, asked, builder.add(place, _WORD(4 * LANES * v))) for v in range(wide)]
    more = []
    for r, pointer in enumerate(now):
        value = builder.load(builder.bitcast(builder.gep(pointer, [here]), _FLOAT.as_pointer()), align=4)
        value = _spread(builder, value)
        more += [_multiplied(builder, value, weight, sums[wide * r + v]) for v, weight in enumerate(weights)]
    following = builder.add(j, _WORD(1))
    builder.cbranch(builder.icmp_signed("<", following, stop), step, end)
    builder.position_at_end(end)
    builder.cbranch(builder.icmp_signed("<", stop, d), chunk, done)
    for value, result in [(j, following), *zip(sums, more, strict=True)]:
        value.add_incoming(result, step)
    for value, result in [(first, stop), *zip(held, more, strict=True)]:
        value.add_incoming(result, end)
    builder.position_at_end(done)
    return [more[wide * r : wide * r + wide] for r in range(HEIGHT)]


def _zero() -> Any:
    return ir.Constant(_VECTOR, [ir.Constant(_FLOAT, 0.0)] * LANES)


def _row(builder: Any, matrix: Any, listed: Any, at: Any, r: int) -> Any:
    """Return the pointer to the row whose number stands at ``at + r``."""
    number = builder.load(builder.gep(listed.data, [builder.add(at, _WORD(r))]))
    offset = builder.mul(builder.sext(number, _WORD), builder.extract_value(matrix.strides, 0))
    return builder.gep(builder.bitcast(matrix.data, _BYTE.as_pointer()), [offset])


def _spread(builder: Any, value: Any) -> Any:
    """Return a vector of one number."""
    empty = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(empty, value, _NUMBER(0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(_NUMBER, LANES), [_NUMBER(0)] * LANES))


def _multiplied(builder: Any, a: Any, b: Any, added: Any) -> Any:
    return builder.fadd(builder.fmul(a, b, flags=_FUSED), added, flags=_FUSED)


def _load(builder: Any, pointer: Any, offset: Any) -> Any:
    return builder.load(builder.bitcast(builder.gep(pointer, [offset]), _VECTOR.as_pointer()), align=4)


def _store(builder: Any, value: Any, pointer: Any, offset: Any) -> None:
    builder.store(value, builder.bitcast(builder.gep(pointer, [offset]), _VECTOR.as_pointer()), align=4)
