"""Type aliases and the progress protocol, shared by every layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
PathLike: TypeAlias = str | Path
RandomState: TypeAlias = int | np.random.Generator | np.random.RandomState | None


class Progress(Protocol):
    """What long work calls as it goes; the command line draws it, Python users may pass their own.

    ``task`` names the piece of work, ``done`` of ``total`` units are finished, ``figures`` are
    values worth showing beside the bar (loss, speed). Called a few times per second at most.
    """

    def __call__(self, task: str, done: int, total: int, figures: Mapping[str, float] | None = None) -> None:
        """Take note of progress."""
        ...


def no_progress(task: str, done: int, total: int, figures: Mapping[str, float] | None = None) -> None:
    """Ignore progress: the default of every function that reports it."""
