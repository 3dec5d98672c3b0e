"""Functions that are compiled, and kept: compilation is paid once per machine and version of this code.

Numba keeps what it has compiled beside the file of a function, and compiles anew when that file changes, but not when
another one changes whose functions are part of it. Here the folder is named by all files that may be part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numba

from spaceform.files import cache_root

HOMES = ("geometry", "ops", "search")
"""The parts of this package that compile."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(
    *,
    error_model: Literal["python", "numpy"] = "python",
    fastmath: bool | set[str] = False,
    inline: Literal["never", "always"] = "never",
    counted: bool = True,
) -> Callable[[_Function], _Function]:
    """Decorate a function: `numba.njit` without Python's lock, kept in the user's cache folder.

    The parameters are those of `numba.njit`; ``counted`` False is for functions that neither make arrays nor return
    any: references are not counted there, which takes two atomic operations per array and call. Where the folder can't
    be written to, or ``NUMBA_CACHE_DIR`` names another, numba chooses the place.
    """

    def decorate(function: _Function) -> _Function:
        settings: Any = numba.config
        chosen = settings.CACHE_DIR
        settings.CACHE_DIR = chosen or folder()
        try:
            jit: Any = numba.njit  # its types leave out that references need not be counted
            made: Any = jit(
                nogil=True, cache=True, error_model=error_model, fastmath=fastmath, inline=inline, _nrt=counted
            )(function)
        finally:
            settings.CACHE_DIR = chosen
        return cast("_Function", made)

    return decorate


@cache
def folder() -> str:
    """Return where compiled code of these sources is kept; empty where no folder can be made. O(bytes of sources)."""
    home = Path(__file__).parent
    digest = hashlib.sha256()
    for part in HOMES:
        for path in sorted((home / part).rglob("*.py")):
            digest.update(path.relative_to(home).as_posix().encode() + path.read_bytes())
    place = cache_root() / "compiled" / digest.hexdigest()[:16]
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return ""
    return str(place)
