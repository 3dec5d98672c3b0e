"""The contract of the reference methods: fit, query, count distances; conditions as the filtered index takes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spaceform.checks import check_choice, check_integer
from spaceform.errors import InputError
from spaceform.rng import as_generator
from spaceform.search.attributes import Schema
from spaceform.search.exact import Nearest
from spaceform.search.filtered.matching import grouped
from spaceform.search.filtered.postings import AttributeIndex
from spaceform.search.filtered.rows import attribute_table, check_queries, check_rows
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filters import Constant, Expr, as_expression
from spaceform.types import BoolArray, FloatArray, IntArray, RandomState

METRICS = ("cosine", "euclidean")


@dataclass(frozen=True)
class Asked:
    """A checked condition of some queries: its tree, and the rows that pass, found when they are first looked at."""

    expression: Expr
    attributes: AttributeIndex
    given: BoolArray | None = None

    def mask(self) -> BoolArray:
        """Return which rows pass, ``(n,)``."""
        if self.given is not None:
            return self.given
        return bitmaps.unpack(self.attributes.passing(self.expression), len(self.attributes.table))

    def tree(self) -> Expr:
        """Return the condition; a mask has none, and is refused."""
        if self.given is not None:
            raise InputError("where", got="a mask", expected="a condition: this method reads what is asked for")
        return self.expression


class AbstractReference(ABC):
    """What all reference methods do alike: check rows and conditions, rescore in float64, pad with -1 and -inf.

    Answers hold only passing rows (`NhqIndex` is the exception, and says so), ties go to the lowest row. There may be
    fewer than min(k, matches) of them: what a graph does not reach it does not find.
    """

    metric: str
    search_list: int
    random_state: RandomState

    def fit(self, X: ArrayLike, attributes: Any = None) -> Self:
        """Index vectors ``X (n, d)`` with attributes (a mapping of columns, or a table) and return self."""
        check_choice(self.metric, "metric", METRICS)
        check_integer(self.search_list, "search_list", low=1)
        self._given = check_rows(X, "X", self.metric)
        self._rows = _unit(self._given) if self.metric == "cosine" else self._given
        table = attribute_table(attributes, np.arange(len(self._given)))
        self._attributes = AttributeIndex(table)
        self._build(as_generator(self.random_state))
        return self

    def query(self, queries: ArrayLike, k: int, *, where: Any = None) -> Nearest:
        """Return rows and closeness ``(q, k)``, nearest first, padded with -1 and -inf.

        ``where`` is one condition for all queries or a list of one per query: text, expression, None, or (where a
        method takes any filter) booleans ``(n,)``. Raises ``InputError`` for conditions that the method can't serve.
        """
        return self.counted(queries, k, where=where)[0]

    def counted(self, queries: ArrayLike, k: int, *, where: Any = None) -> tuple[Nearest, IntArray]:
        """Return what `query` returns, and the distances ``(q,)`` computed: the work, whatever the machine."""
        if not hasattr(self, "_given"):
            raise InputError("index", got="an index without rows", expected="a fitted one", remedy="call fit")
        given = check_queries(queries, self.metric, width=self._given.shape[1])
        check_integer(k, "k", low=1)
        check_integer(self.search_list, "search_list", low=1)
        result = Nearest(np.full((len(given), k), -1), np.full((len(given), k), -np.inf))
        scored = np.zeros(len(given), np.int64)
        asked = _unit(given) if self.metric == "cosine" else given
        for members, condition in grouped(where, len(given)):
            checked = self._condition(condition)
            found, scored[members] = self._find(asked[members], k, checked)
            rows, closeness = (part[:, :k] for part in self._rescored(given[members], found, checked))
            result.rows[members, : rows.shape[1]] = rows
            result.closeness[members, : rows.shape[1]] = closeness
        return result, scored

    def passing(self, where: Any) -> BoolArray:
        """Return which rows pass a condition, ``(n,)``: what the methods for any filter evaluate before they search."""
        return self._condition(where).mask()

    @abstractmethod
    def _build(self, generator: np.random.Generator) -> None:
        """Build the index on ``self._rows`` and ``self._attributes``."""

    @abstractmethod
    def _find(self, queries: NDArray[np.float32], k: int, asked: Asked) -> tuple[NDArray[np.integer[Any]], IntArray]:
        """Return at most k rows for each query, -1 for none, in any order, and the distances computed."""

    def _scan(self, queries: NDArray[np.float32], k: int, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Return the nearest of some rows by one matrix product; twice k are kept, to be scored exactly."""
        kept = min(2 * k + 8, len(rows))
        among = self._rows[rows]
        scores = queries @ among.T
        scores -= np.einsum("nd,nd->n", among, among) / 2
        best = np.argpartition(-scores, kept - 1, axis=1)[:, :kept] if kept else np.empty((len(queries), 0), np.int64)
        return rows[best], np.full(len(queries), len(rows))

    def _condition(self, where: Any) -> Asked:
        if isinstance(where, str | Expr) or where is None:
            expression = as_expression(where).check(Schema.of(self._attributes.table))
            return Asked(expression, self._attributes)
        mask = np.asarray(where)
        if mask.dtype != np.bool_ or mask.shape != (len(self._given),):
            raise InputError(
                "where",
                got=f"{mask.dtype} of shape {mask.shape}",
                expected=f"a condition or {len(self._given)} booleans",
            )
        return Asked(Constant(value=True), self._attributes, mask)

    def _rescored(
        self, queries: NDArray[np.float32], found: NDArray[np.integer[Any]], asked: Asked
    ) -> tuple[IntArray, FloatArray]:
        """Return the rows found in the order of their closeness in float64, and it; as many as were found."""
        rows = found.astype(np.int64)
        given, met = queries.astype(np.float64)[:, None], self._given[np.maximum(rows, 0)].astype(np.float64)
        if self.metric == "euclidean":
            closeness = 0.0 - np.sqrt(((given - met) ** 2).sum(axis=2))
        else:
            sizes = np.sqrt((given**2).sum(axis=2)) * np.sqrt((met**2).sum(axis=2))
            closeness = np.clip((given * met).sum(axis=2) / sizes, -1.0, 1.0)
        closeness[rows < 0] = -np.inf
        order = np.lexsort((rows, -closeness), axis=1)
        return np.take_along_axis(rows, order, 1), np.take_along_axis(closeness, order, 1)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    return (rows / lengths[:, None]).astype(np.float32)
