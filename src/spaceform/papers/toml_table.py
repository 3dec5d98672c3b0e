"""Reading a TOML table strictly: each key once, of its type, and nothing left over."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from spaceform.errors import InputError

_MISSING: Any = object()


class Table:
    """A TOML table that hands out each key once, checked, and refuses what is left over."""

    def __init__(self, entries: object, place: str) -> None:
        self.place = place
        if not isinstance(entries, Mapping):
            raise InputError(place, got=_kind(entries), expected="a table")
        self._left, self._known = dict(entries), list[str]()

    def text(self, key: str, *, default: str = _MISSING, hint: str = "a text") -> str:
        """Return a text with its line breaks and runs of blanks made single blanks; empty only if it is optional."""
        value = self._take(key, hint, default)
        if not isinstance(value, str) or (not value.strip() and default is _MISSING):
            raise InputError(self._name(key), got=_kind(value), expected=hint)
        return " ".join(value.split())

    def choice(self, key: str, choices: Sequence[str]) -> str:
        """Return a text out of a vocabulary."""
        value = self.text(key, hint="one of " + ", ".join(choices))
        if value not in choices:
            raise InputError(self._name(key), got=repr(value), expected="one of " + ", ".join(choices))
        return value

    def texts(self, key: str, *, default: Sequence[str] = _MISSING, single: bool = False) -> tuple[str, ...]:
        """Return a list of texts; with ``single`` one text stands for a list of one."""
        expected = "a text or a list of texts" if single else "a list of texts"
        value = self._take(key, expected, default)
        if single and isinstance(value, str):
            value = [value]
        if not isinstance(value, Sequence) or isinstance(value, str) or (not value and default is _MISSING):
            raise InputError(self._name(key), got=_kind(value), expected=expected)
        for item in value:
            if not isinstance(item, str) or not item.strip():
                raise InputError(self._name(key), got=_kind(item), expected=expected)
        return tuple(" ".join(item.split()) for item in value)

    def integer(self, key: str, *, low: int) -> int:
        """Return an integer of at least ``low``."""
        value = self._take(key, f"an integer >= {low}")
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise InputError(self._name(key), got=_kind(value), expected=f"an integer >= {low}")
        return value

    def integers(self, key: str) -> tuple[int, ...]:
        """Return a list of integers of at least 0."""
        value = self._take(key, "a list of integers >= 0")
        if not isinstance(value, list) or any(isinstance(i, bool) or not isinstance(i, int) or i < 0 for i in value):
            raise InputError(self._name(key), got=_kind(value), expected="a list of integers >= 0")
        return tuple(value)

    def number(self, key: str) -> float:
        """Return a finite number of at least 0."""
        value = self._take(key, "a finite number >= 0")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or value < 0:
            raise InputError(self._name(key), got=_kind(value), expected="a finite number >= 0")
        return float(value)

    def table(self, key: str) -> Table:
        """Return a table within this one."""
        return Table(self._take(key, "a table"), self._name(key))

    def tables(self, key: str, *, default: Sequence[object] = _MISSING) -> list[Table]:
        """Return the tables of a list of tables."""
        value = self._take(key, "a list of tables", default)
        if not isinstance(value, Sequence) or isinstance(value, str) or (not value and default is _MISSING):
            raise InputError(self._name(key), got=_kind(value), expected="a list of tables")
        return [Table(row, f"{self._name(key)}[{i}]") for i, row in enumerate(value)]

    def finish(self) -> None:
        """Refuse the first key that nobody asked for."""
        for key in self._left:
            near = difflib.get_close_matches(key, self._known, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else ""
            raise InputError(self._name(key), got="an unknown key", expected=", ".join(self._known), remedy=remedy)

    def _take(self, key: str, expected: str, default: object = _MISSING) -> Any:
        self._known.append(key)
        value = self._left.pop(key, default)
        if value is _MISSING:
            raise InputError(self._name(key), got="nothing", expected=expected)
        return value

    def _name(self, key: str) -> str:
        joint = ": " if self.place.endswith(".toml") else "."
        return f"{self.place}{joint}{key}"


def _kind(value: object) -> str:
    return "an empty text" if value == "" else f"{value!r} ({type(value).__name__})"
