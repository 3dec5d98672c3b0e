"""The methods of the literature, in our reference code: one index per column for those that are built for a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spaceform.errors import InputError
from spaceform.search.filters import Between, Comparison, Contains, Expr
from spaceform.search.references.contract import AbstractReference
from spaceform.search.references.registry import KINDS, Reference, references
from spaceform.types import IntArray
from spaceform.workflows.benching.searching.method import Method, Setting

_SHOWN = {"equality": "one value", "range": "ranges", "membership": "members of sets"}


class _Published(Method):
    """One entry of the registry of reference methods, its sweep for the grid."""

    reference = True
    largest = 120_000
    reason = "reference code, built on one thread"
    entry: ClassVar[Reference]

    def fit(self, X: NDArray[np.float32], columns: Mapping[str, Any]) -> None:
        """Build one index for all filters, or one for each column whose filters the method answers."""
        self._general = all(self.entry.serves(kind) for kind in KINDS)
        self._built: dict[str, AbstractReference] = {}
        self._refused: dict[str, str] = {}
        if self._general:
            self._built[""] = self.entry.make("").fit(X, columns)
            return
        for name, values in columns.items():
            if not self.entry.serves(_kind_of(values)):
                continue
            try:
                self._built[name] = self.entry.make(name).fit(X, {name: values})
            except InputError as error:  # what it can't be built for it says before it builds
                self._refused[name] = f"not built for {name!r}: {error.got}"

    def query(self, Q: NDArray[np.float32], k: int, where: Expr, setting: Setting) -> IntArray:
        """Ask the index of the column."""
        index = self._built["" if self._general else _column(where)]
        index.search_list = setting["search_list"]
        return index.query(Q, k, where=where).rows

    def refusal(self, where: Sequence[Expr]) -> str:
        """Name the first kind of filter, or column, that the method is not made for."""
        reasons = (self._unanswered(one) for one in where)
        return "" if self._general else next(filter(None, reasons), "")

    def _unanswered(self, where: Expr) -> str:
        kind = _asked(where)
        if kind is None or not self.entry.serves(kind):
            return f"does not answer {_SHOWN[kind] if kind else 'conjunctions'}"
        return "" if _column(where) in self._built else self._refused.get(_column(where), f"not built for {kind}")


def published() -> list[type[Method]]:
    """Return a method per entry of the registry, named after it."""
    return [
        type(
            "".join(word.capitalize() for word in name.split("-")),
            (_Published,),
            {
                "__doc__": f"{name}, as published, in our reference code.",
                "name": f"{name}, reference",
                "grid": tuple({"search_list": length} for length in entry.search_lists),
                "entry": entry,
            },
        )
        for name, entry in references("cosine").items()
    ]


def _kind_of(values: Any) -> str:
    if isinstance(values, np.ndarray):
        return "range"
    return "equality" if isinstance(values[0], str) else "membership"


def _asked(where: Expr) -> str | None:
    kinds = {Comparison: "equality", Between: "range", Contains: "membership"}
    return kinds.get(type(where))


def _column(where: Expr) -> str:
    assert isinstance(where, Comparison | Between | Contains)  # noqa: S101  others are refused
    return where.column
