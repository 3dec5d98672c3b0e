"""What is measured: a method with a grid of settings, in the form that every peer is brought into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filters import Expr
from spaceform.types import IntArray

Setting = Mapping[str, Any]


class Method(ABC):
    """A way to search unit vectors under a filter by inner product.

    ``name`` is shown, ``package`` must be installed (none for our own code), ``grid`` are the settings of a query from
    the fastest to the most thorough, ``largest`` the most rows that it is given, for a ``reason``; after ``seconds``
    it is stopped. ``reference`` methods are those of papers, in our own code: to compare with, not to install.
    """

    name: ClassVar[str]
    package: ClassVar[str] = ""
    reference: ClassVar[bool] = False
    largest: ClassVar[int] = 200_000
    reason: ClassVar[str] = ""
    seconds: ClassVar[float] = 420.0
    grid: ClassVar[Sequence[Setting]] = ({},)

    @abstractmethod
    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Build, on the threads last set."""

    @abstractmethod
    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Return the ids ``(q, k)`` of the nearest passing rows, -1 where none was found. The filter counts."""

    def refusal(self, where: Sequence[Expr]) -> str:
        """Return why the built index cannot answer one of these filters; nothing if it answers all."""
        return ""

    def threads(self, count: int) -> None:  # noqa: B027  most peers take the number from the process
        """Use so many threads from now on."""

    def bytes_held(self) -> float:
        """Return the bytes that the index takes by its own account; NaN where it does not tell."""
        return float("nan")


def padded(ids: Any, q: int, k: int) -> IntArray:
    """Return ids as ``(q, k)`` with -1 for what is missing."""
    result = np.full((q, k), -1, dtype=np.int64)
    for row, found in enumerate(ids):
        result[row, : len(found)] = found
    return result
