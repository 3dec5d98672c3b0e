"""What every loader returns: rows, labels, the names of the classes, and columns that describe the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spaceform.errors import InputError
from spaceform.types import IntArray


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory.

    ``X`` (n, ...) holds the rows: vectors (n, d), grey pictures (n, h, w) or colour pictures (n, h, w, 3 or 4) uint8.
    ``y`` (n,) int64 indexes into ``classes``; -1 marks unlabelled rows. ``attributes`` are columns of length n.
    ``licence`` and ``source`` say under which terms and from which package or folder the rows came.

    Raises ``InputError`` when lengths disagree or a label points outside ``classes``.
    """

    name: str
    X: NDArray
    y: IntArray
    classes: Sequence[str]
    attributes: Mapping[str, Sequence | NDArray] = field(default_factory=dict)
    licence: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        rows = len(self.X)
        if self.y.shape != (rows,) or self.y.dtype != np.int64:
            raise InputError("y", got=f"{self.y.dtype} of shape {self.y.shape}", expected=f"int64 of shape ({rows},)")
        if rows and not -1 <= int(self.y.min()) <= int(self.y.max()) < len(self.classes):
            raise InputError("y", got="labels outside the classes", expected=f"-1 to {len(self.classes) - 1}")
        for name, column in self.attributes.items():
            if len(column) != rows:
                raise InputError(f"attributes[{name!r}]", got=f"{len(column)} values", expected=f"{rows}, one per row")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.X)

    def summary(self) -> dict[str, object]:
        """Return what the set is in plain values (ready for JSON): sizes, label counts, attributes, terms. O(n)."""
        counts = np.bincount(self.y[self.y >= 0], minlength=len(self.classes))
        present = counts[counts > 0]
        return {
            "name": self.name,
            "rows": len(self),
            "shape": list(self.X.shape),
            "dtype": str(self.X.dtype),
            "megabytes": round(self.X.nbytes / 1e6, 1),
            "classes": len(self.classes),
            "rows_per_class": [int(present.min()), int(present.max())] if present.size else [0, 0],
            "unlabelled": int((self.y < 0).sum()),
            "attributes": {name: len(set(map(str, column))) for name, column in self.attributes.items()},
            "licence": self.licence,
            "source": self.source,
        }
