"""What a user's file or folder was found to hold."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.checks import check_choice
from spaceform.errors import InputError
from spaceform.types import FloatArray, PathLike

KINDS = ("vectors", "images", "texts")


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """Rows as ``vectors``, ``images`` or ``texts``, named by ``kind``; texts may have pictures beside them.

    ``vectors`` (n, d) float, finite; ``images`` (n, size, size, 3 or 4) uint8; ``texts`` n strings.
    ``attributes`` are columns of length n (lists, arrays or Arrow columns; None where a value is missing),
    ``label`` the one that holds the class, or None. ``ids`` n unique strings, or None. ``skipped`` are the rows or
    files left out, each with the reason.
    """

    kind: str
    path: str
    vectors: FloatArray | None = None
    images: NDArray[np.uint8] | None = None
    texts: Sequence[str] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    label: str | None = None
    ids: Sequence[str] | None = None
    skipped: Sequence[tuple[str, str]] = ()

    def __len__(self) -> int:
        """Return the number of rows."""
        rows = {"vectors": self.vectors, "images": self.images, "texts": self.texts}[self.kind]
        return 0 if rows is None else len(rows)


def existing(path: PathLike, argument: str = "path") -> Path:
    """Return ``path`` as a Path; raises ``InputError`` when nothing is there or this user may not read it."""
    place = Path(path)
    try:
        place.stat()
        readable = os.access(place, os.R_OK | os.X_OK if place.is_dir() else os.R_OK)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(argument, got=f"{shown(path)} ({reason})", expected="an existing file or folder") from error
    if not readable:
        raise InputError(argument, got=f"{shown(path)}, which you may not read", expected="a readable file or folder")
    return place


def shown(path: PathLike) -> str:
    """Return a file name as printable text: control characters and bytes that are no UTF-8 are escaped."""
    text = os.fsencode(str(path)).decode("utf-8", errors="backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def check_on_error(on_error: str) -> str:
    """Return "raise" (refuse a source with a bad row) or "skip" (leave it out and say so)."""
    return check_choice(on_error, "on_error", ("raise", "skip"))


def refuse(path: Path, bad: Sequence[tuple[str, str]], *, total: int, what: str) -> InputError:
    """Return the error for ``bad`` (name, reason) among ``total`` rows or files of ``path``."""
    listed = "; ".join(f"{name} ({reason})" for name, reason in bad[:5])
    more = f"; and {len(bad) - 5:,} more" if len(bad) > 5 else ""
    return InputError(
        shown(path),
        got=f"{len(bad):,} of {total:,} {what} that can't be used: {listed}{more}",
        expected=f"readable {what}",
        remedy="mend or remove them, or leave them out with on_error='skip'",
    )
