"""Pickles of plain values, read without running any code."""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spaceform.data.layouts.source import shown
from spaceform.errors import InputError
from spaceform.types import PathLike

MOST = 1 << 20
"""Bytes of a file that is read: lists of classes take a few thousand."""

_VALUES = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"}
)
_MADE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "EMPTY_TUPLE": tuple,
}
_KEPT, _FETCHED = frozenset({"PUT", "BINPUT", "LONG_BINPUT"}), frozenset({"GET", "BINGET", "LONG_BINGET"})


def read_plain_pickle(path: PathLike) -> Any:
    """Return what a pickle of dictionaries, lists, tuples, sets, text, numbers, truth values and None holds.

    The instructions are followed here, one by one, and there is none for looking up a name or calling it: a pickle
    with any class or function in it, numpy's numbers too, raises ``InputError``, as do broken files and those of more
    than a megabyte. O(bytes).
    """
    place = Path(path)
    try:
        if place.stat().st_size > MOST:
            raise InputError("path", got=f"{place.stat().st_size:,} bytes", expected=f"at most {MOST:,}")
        return _Machine().run(place.read_bytes())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, UnicodeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("path", got=f"{shown(place)}: {error}", expected="a pickle of plain values") from error


class _Machine:
    """The stack, the marks on it, and what was put aside."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, code: bytes) -> Any:
        for instruction, argument, _ in pickletools.genops(code):
            if instruction.name == "STOP":
                (value,) = self.stack
                return value
            if instruction.name not in {"PROTO", "FRAME"}:
                self.step(instruction.name, argument)
        raise ValueError("no end")

    def step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif name in _MADE:
            self.stack.append(_MADE[name]())
        elif name in _KEPT:
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in _FETCHED:
            self.stack.append(self.memo[argument])
        elif name in {"TUPLE1", "TUPLE2", "TUPLE3"}:
            self.stack.append(tuple(self.top(int(name[-1]))))
        else:
            self.gather(name)

    def gather(self, name: str) -> None:
        """Follow an instruction that takes values off the stack and puts them into a container."""
        if name in {"APPEND", "SETITEM"}:
            values = self.top(1 if name == "APPEND" else 2)
        elif name in {"APPENDS", "SETITEMS", "ADDITEMS", "LIST", "DICT", "TUPLE"}:
            values = self.top(len(self.stack) - self.marks.pop())
        else:
            raise ValueError(f"the instruction {name}, which plain values do not need")
        pairs = dict(zip(values[::2], values[1::2], strict=True)) if name in {"DICT", "SETITEM", "SETITEMS"} else {}
        if name in {"LIST", "DICT", "TUPLE"}:
            self.stack.append({"LIST": values, "DICT": pairs, "TUPLE": tuple(values)}[name])
        elif name in {"APPEND", "APPENDS"}:
            self.stack[-1].extend(values)
        else:
            self.stack[-1].update(pairs or values)

    def top(self, count: int) -> list[Any]:
        """Take the last ``count`` values off the stack."""
        if not 0 <= count <= len(self.stack):
            raise ValueError("more values are asked for than there are")
        kept = len(self.stack) - count
        values = self.stack[kept:]
        del self.stack[kept:]
        return values
