"""What every verb prints with: tables and lines on stdout, JSON on stdout, errors and warnings on stderr.

Colour is used on a terminal only, never when ``NO_COLOR`` is set; output into a pipe or file is plain and unwrapped.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 100_000
"""Columns of a line that no terminal wraps."""


def print_line(text: str = "") -> None:
    """Print one line to stdout, as it is and at once: whoever reads a pipe may be waiting for it."""
    print(text, flush=True)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print ``rows`` under ``columns``, with ``title`` (may be empty) above; numbers are set to the right.

    On a terminal cells wrap to its width; elsewhere each row is one line, so that ``grep`` and ``cut`` work.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    body = [list(row) for row in rows]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        right = bool(body) and all(_is_number(row[index]) for row in body)
        table.add_column(Text(name), justify="right" if right else "left", no_wrap=not is_terminal(sys.stdout))
    for row in body:
        table.add_row(*(Text(format_cell(cell)) for cell in row))
    console = _console()
    if title:
        console.print(Text(title, style="bold"))
    console.print(table)


def print_json(value: object) -> None:
    """Print ``value`` as one JSON document; nothing else may be printed to stdout beside it."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def print_error(message: str, *, prefix: str = "error: ") -> None:
    """Print ``message`` to stderr."""
    _tell(message, prefix, "31")


def print_warning(message: str) -> None:
    """Print ``message`` to stderr as a warning."""
    _tell(message, "warning: ", "33")


def plain(value: Any) -> Any:
    """Return ``value`` as what JSON knows: NaN and infinities become null, arrays and tensors become lists.

    Raises ``TypeError`` for objects without a plain form. O(size).
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    for method in ("tolist", "to_pylist", "isoformat"):
        if hasattr(value, method):
            return plain(getattr(value, method)())
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value))
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no plain form")


def format_cell(value: object) -> str:
    """Return how a cell shows ``value``: four significant digits, ``-`` for None and NaN, yes and no for booleans."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def is_terminal(stream: TextIO) -> bool:
    """Return whether a person looks at ``stream``."""
    return hasattr(stream, "isatty") and stream.isatty() and os.environ.get("TERM") != "dumb"


def _is_number(cell: object) -> bool:
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool)) or hasattr(cell, "item")


def _console() -> Console:
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, width=None if is_terminal(sys.stdout) else WIDE)


def _tell(message: str, prefix: str, colour: str) -> None:
    if prefix and is_terminal(sys.stderr) and not os.environ.get("NO_COLOR"):
        prefix = f"\x1b[1;{colour}m{prefix}\x1b[0m"
    print(f"{prefix}{message}", file=sys.stderr)
