"""What a claim's ``run`` is given besides its settings."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from spaceform.errors import InputError
from spaceform.types import Progress, no_progress

Made = TypeVar("Made")


@dataclass(kw_only=True)
class Context:
    """The surroundings of one seed's arms.

    ``scale`` is smoke, laptop or paper; ``root`` the user's benchmark folder (None at the other scales);
    ``progress`` is passed on to long work. One context serves all arms of one seed, so that work which they
    share (a trained network, a split) is done once, through :meth:`shared`.
    """

    scale: str
    root: Path | None = None
    progress: Progress = no_progress
    curves: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    _made: dict[Hashable, Any] = field(default_factory=dict)

    def shared(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return ``make()``, computed once per seed for each ``key``."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made

    def curve(self, arm: str, name: str, xs: Sequence[float], ys: Sequence[float]) -> None:
        """Record a curve of this seed for the claim's plot. Raises ``InputError`` when the lengths differ."""
        if len(xs) != len(ys):
            raise InputError("ys", got=f"{len(ys)} values", expected=f"{len(xs)} values, one per x")
        self.curves.setdefault(arm, {})[name] = {
            "x": np.asarray(xs, dtype=float).tolist(),
            "y": np.asarray(ys, dtype=float).tolist(),
        }

    def benchmark_root(self, layout: str) -> Path:
        """Return ``root``, or raise an ``InputError`` that says which layout has to lie there."""
        if self.root is None or not self.root.is_dir():
            raise InputError(
                "root", got=str(self.root), expected=f"a folder with {layout}", remedy="pass --root FOLDER"
            )
        return self.root
