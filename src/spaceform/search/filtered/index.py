"""The index: fit, query, explain, change, save."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from spaceform.checks import check_choice, check_integer, check_real
from spaceform.errors import InputError
from spaceform.rng import as_generator
from spaceform.search.exact import Nearest
from spaceform.search.filtered.choice import Plan, answer, padded
from spaceform.search.filtered.matching import REMEMBERED, Filter, Matcher, grouped
from spaceform.search.filtered.rows import (
    attribute_table,
    check_ids,
    check_queries,
    check_rows,
    fitted,
    fitted_table,
    listed_ids,
)
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.engine import PLANS, Engine
from spaceform.search.filtered.scan.layout import METRICS, Base, norms_of
from spaceform.search.filtered.segment import build
from spaceform.search.filtered.state import State
from spaceform.search.filtered.storage import Store, open_index, read_record
from spaceform.search.filters import Expr
from spaceform.space_rows import check_attributes
from spaceform.types import IntArray, PathLike, Progress, RandomState, no_progress

_ALL = tuple(PLANS)

_TAIL, _TAIL_SHARE = 4_096, 0.25
"""A tail of more rows than both (a number, a share of the segment) is compacted when rows are added."""


class FilteredIndex:
    """Nearest rows among those that pass a filter: exactly min(k, matches) of them, by the cheapest of six plans.

    The passing rows are counted, never estimated (posting lists and bitmaps). Rows lie cell by cell (k-means) in
    float32, 8-bit and 1-bit codes. Plan S screens all matches by 8 bits, B by 1 bit first, I opens cells from the
    most promising on, P does so in a list that `prepare` laid out for one filter, M multiplies many queries with all
    matches, G walks along links between rows that lie near. Times measured at the fit choose.
    After Iff et al., arXiv 2507.21989, whose comparison found no fixed plan to win everywhere.

    Parameters: ``metric`` "cosine", "euclidean" or "ip". ``recall`` in (0, 1]: mean share of the true neighbours to
    be found; at 1 bounds are strict and every plan gives the same answer, that of `exact_search` on the float32 rows.
    ``plans`` "auto" or letters of plans to choose from, such as "SI". ``threads`` over the queries of a batch.
    ``compiled`` False runs the scans in NumPy: the same answers, slowly. ``remembered``
    filters keep their matches (at most n / 4 bytes each). ``graph`` True links rows for plan G, which answers filters
    that many rows pass (128 bytes a row more), False does not, "auto" does from 1,000,000 rows on; at recall 1 there is
    none. ``random_state`` draws cells and rotation.

    Raises ``InputError`` for NaN, zero vectors under cosine, k < 1, filters that do not fit, ids given twice.
    Cost: fit O(n d sqrt(n)); query O(n / 64 + screened rows d); memory n (5 d + d / 8 + 16) bytes and more.
    Vectors are kept and compared as float32.

    >>> index = FilteredIndex(metric="euclidean").fit([[0.0], [1.0], [2.0]], {"kind": ["a", "b", "a"]})
    >>> index.query([[1.2]], k=2, where="kind = 'a'").rows
    array([[2, 0]])
    """

    def __init__(
        self, *, metric: str = "cosine", recall: float = 0.95, plans: str = "auto", threads: int = 1,
        compiled: bool = True, remembered: int = REMEMBERED, graph: bool | str = "auto", random_state: RandomState = 0,
    ) -> None:  # fmt: skip
        self.metric = metric
        self.recall = recall
        self.plans = plans
        self.threads = threads
        self.compiled = compiled
        self.remembered = remembered
        self.graph = graph
        self.random_state = random_state
        self._matcher = Matcher(check_integer(remembered, "remembered", low=0))
        self._state: State | None = None
        self._store: Store | None = None
        self._read_only = False
        self._changing = RLock()

    def fit(
        self, X: ArrayLike, attributes: Any = None, *, ids: ArrayLike | None = None, progress: Progress = no_progress
    ) -> FilteredIndex:
        """Index vectors ``X (n, d)`` with attributes (a mapping of columns, or a table) and return self.

        ``ids`` are distinct integers >= 0, by default 0 to n - 1. Calls ``progress`` per stage.
        """
        check_choice(self.metric, "metric", METRICS)
        check_real(self.recall, "recall", low=0.0, high=1.0)
        check_integer(self.threads, "threads", low=1)
        if not isinstance(self.graph, bool):
            check_choice(self.graph, "graph", ("auto",))
        self._allowed()
        rows = check_rows(X, "X", self.metric)
        numbers = check_ids(ids, len(rows), 0)
        table = attribute_table(attributes, numbers)
        segment = build(
            Base(rows, norms_of(rows), numbers), table, Engine(self.metric, self.compiled, self.threads),
            recall=self.recall, generator=as_generator(self.random_state), graph=self.graph, progress=progress,
        )  # fmt: skip
        with self._changing:
            self.close()
            self._matcher.forget()
            self._state = State.of(segment, int(numbers.max()) + 1)
        return self

    def query(
        self, queries: ArrayLike, k: int, *, where: Filter | list[Filter] = None, recall: float | None = None
    ) -> Nearest:
        """Return the nearest passing rows of each query ``(q, d)``: ids and closeness ``(q, k)``, nearest first.

        ``where`` is one filter for all or a list with one per query: text, an expression, booleans (one per id up to
        the largest ever given), an array of ids (those that are not there pass nothing), or None. Where fewer than k
        rows pass, ids end in -1 and closeness in -inf. Ties go to the lowest id. Closeness is the cosine, the inner
        product, or minus the distance.
        """
        state, asked, recall = self._asked(queries, k, recall)
        if not isinstance(where, (list, tuple)):
            matches = self._matcher.matches(where, state)
            found = answer(state, asked, k, matches=matches, recall=recall, allowed=self._allowed())[1]
            return padded(found, k, matches.total)
        result = Nearest(np.full((len(asked), k), -1), np.full((len(asked), k), -np.inf))
        for rows, one in grouped(where, len(asked)):
            matches = self._matcher.matches(one, state)
            found = answer(state, asked[rows], k, matches=matches, recall=recall, allowed=self._allowed())[1]
            part = padded(found, k, matches.total)
            result.rows[rows], result.closeness[rows] = part.rows, part.closeness
        return result

    def explain(self, query: ArrayLike, k: int, *, where: Filter = None, recall: float | None = None) -> Plan:
        """Answer one query ``(d,)`` and tell how: the plan, the matches, what each plan was predicted to take."""
        return self.query_one(query, k, where=where, recall=recall)[1]

    def query_one(
        self, query: ArrayLike, k: int, *, where: Filter = None, recall: float | None = None
    ) -> tuple[Nearest, Plan]:
        """Return the answer to one query ``(d,)``, ids and closeness ``(1, min(k, matches))``, and how it was found."""
        state, asked, recall = self._asked(np.atleast_2d(np.asarray(query)), k, recall)
        begun = perf_counter()
        matches = self._matcher.matches(where, state)
        filtered = perf_counter() - begun
        choice, found = answer(state, asked[:1], k, matches=matches, recall=recall, allowed=self._allowed())
        took = perf_counter() - begun
        name, seconds = choice.of(0)
        predicted = {plan: round(1e3 * value, 4) for plan, value in seconds.items()}
        screened, scored = (int(value) for value in found.seen[0])
        plan = Plan(name, matches.total, predicted, 1e3 * took, 1e3 * filtered, screened, scored)
        width = min(k, matches.total)
        return Nearest(found.ids[:, :width], found.closeness[:, :width]), plan

    def count(self, where: Filter = None) -> int:
        """Return how many rows pass a filter; exact."""
        return self._matcher.matches(where, self._fitted()).total

    def matching(self, where: Filter = None) -> IntArray:
        """Return the ids of the rows that pass a filter, ascending."""
        state = self._fitted()
        matches = self._matcher.matches(where, state)
        found = state.segment.base.ids[bitmaps.positions(matches.words, len(state.segment))]
        if state.tail is not None:
            later = bitmaps.positions(matches.later, len(state.tail))
            found = np.concatenate([found, state.tail.base.ids[later]])
        return np.sort(found)

    def take(self, ids: ArrayLike) -> tuple[NDArray[np.float32], pa.Table]:
        """Return the vectors ``(m, d)`` and the attributes of rows that are there; others raise ``InputError``."""
        state = self._fitted()
        return state.take(self._present(ids, state))

    def prepare(self, where: str | Expr) -> FilteredIndex:
        """Lay out the rows that pass a filter by themselves, so that plan P answers it (and conjunctions with it).

        Worth its memory (m (d + 8) bytes and more) for filters asked often that keep many rows, above about 10,000.
        """
        with self._changing:
            state = self._changeable()
            expression, rows = self._matcher.expression(where, state)
            matches = self._matcher.matches(where, state)
            if not matches.inside:
                raise InputError("where", got=f"{expression}, which no row passes", expected="a filter with matches")
            generator = as_generator(self.random_state)
            segment = state.segment.with_list(str(expression), rows.words, recall=self.recall, generator=generator)
            self._replace(State(segment, state.alive, state.next_id, state.tail, state.tail_alive))
        return self

    def add(self, X: ArrayLike, attributes: Any = None, *, ids: ArrayLike | None = None) -> IntArray:
        """Add rows and return their ids. Attributes must have the columns of the index; ids must be new.

        O(rows d + tail d); a long tail is compacted, which costs as much as a fit.
        """
        with self._changing:
            state = self._changeable()
            rows = check_rows(X, "X", self.metric, width=state.segment.base.rows.shape[1])
            numbers = check_ids(ids, len(rows), state.next_id)
            taken = np.maximum(*state.find(numbers)) >= 0
            if taken.any():
                raise InputError("ids", got=f"id {numbers[taken][0]}, which is there", expected="new ids",
                                 remedy="use update")  # fmt: skip
            table = fitted_table(attributes, numbers, state.segment.attributes.table.schema)
            self._put(state, numbers, rows, table=table)
            return numbers

    def update(self, ids: ArrayLike, X: ArrayLike | None = None, attributes: Any = None) -> None:
        """Replace the vectors, or some attributes, or both, of rows that are there."""
        with self._changing:
            state = self._changeable()
            numbers = self._present(ids, state)
            if not len(numbers):
                return
            rows, table = state.take(numbers)
            if X is not None:
                rows = check_rows(X, "X", self.metric, width=rows.shape[1])
                check_ids(numbers, len(rows), 0)
            for name, column in check_attributes(attributes, len(numbers)).items():
                if name not in table.column_names:
                    raise InputError("attributes", got=repr(name), expected=f"one of {table.column_names}")
                place = table.column_names.index(name)
                table = table.set_column(place, table.schema.field(name), fitted(column, table.schema.field(name)))
            self._put(state, numbers, rows, table=table.combine_chunks())

    def upsert(self, ids: ArrayLike, X: ArrayLike, attributes: Any = None) -> None:
        """Add rows, in the place of those of the same ids; one record of the log, so that all are there or none."""
        with self._changing:
            state = self._changeable()
            rows = check_rows(X, "X", self.metric, width=state.segment.base.rows.shape[1])
            numbers = check_ids(ids, len(rows), state.next_id)
            table = fitted_table(attributes, numbers, state.segment.attributes.table.schema)
            self._put(state, numbers, rows, table=table)

    def delete(self, ids: ArrayLike) -> None:
        """Delete rows; ids that are not there raise ``InputError``. O(n / 8)."""
        with self._changing:
            state = self._changeable()
            numbers = self._present(ids, state)
            if len(numbers):
                if self._store is not None:
                    self._store.delete(numbers)
                self._state = state.without(numbers)

    def compact(self, *, progress: Progress = no_progress) -> FilteredIndex:
        """Build the segment anew from the rows alive, with their ids; private lists are laid out again."""
        with self._changing:
            state = self._changeable()
            if len(state):
                base, table = state.everything()
                engine, generator = state.segment.engine, as_generator(self.random_state)
                segment = build(base, table, engine, recall=self.recall, generator=generator, graph=self.graph,
                                progress=progress)  # fmt: skip
                names = list(state.segment.lists)
                self._matcher.forget()
                self._replace(State.of(segment, state.next_id))
                for name in names:
                    if self.count(name):
                        self.prepare(name)
        return self

    def save(self, path: PathLike) -> FilteredIndex:
        """Write the index to a folder; from then on every change is on the disk when its call returns.

        The folder is replaced as a whole, so that a crash leaves the old index or the new one, and stays locked for
        other writers until `close`. Raises ``InputError`` for a folder of something else or of another writer.
        """
        with self._changing:
            state, folder = self._changeable(), Path(path).resolve()
            if self._store is not None and self._store.folder == folder:
                self._store.replace(self._options(), state)
                return self
            store = Store(folder)
            try:
                store.replace(self._options(), state)
            except BaseException:
                store.close()
                raise
            self.close()
            self._store = store
        return self

    @classmethod
    def load(cls, path: PathLike, *, writable: bool = False, verify: bool = True) -> FilteredIndex:
        """Open a saved index: arrays are mapped into memory, and the changes since are read from its log.

        ``writable`` takes the lock and goes on logging; ``verify`` compares every file with its checksum, O(bytes).
        Raises ``SpaceFormatError`` that names a damaged file, ``InputError`` for an index that another writer holds.
        """
        folder = Path(path).resolve()
        store = None
        if writable:
            read_record(folder)
            store = Store(folder)
        try:
            opened = open_index(folder, verify=verify)
            if store is not None:
                store.resume(opened)
        except BaseException:
            if store is not None:
                store.close()
            raise
        index = cls(**opened.options)
        index._state, index._store, index._read_only = opened.state, store, store is None
        return index

    def close(self) -> None:
        """Give the folder back that `save` or ``load(writable=True)`` holds; the index stays, in memory only."""
        with self._changing:
            if self._store is not None:
                self._store.close()
            self._store, self._read_only = None, False

    def __len__(self) -> int:
        """The number of rows alive."""
        return len(self._fitted())

    @property
    def ids(self) -> IntArray:
        """The ids of the rows alive, ascending."""
        return self._fitted().ids

    @property
    def stats_(self) -> dict[str, Any]:
        """Figures: rows alive, dead, in the tail; cells, private lists, links, bytes per row, measured costs."""
        state = self._fitted()
        segment, tail = state.segment, state.tail
        layouts = [segment.layout, *(one.layout for one in segment.lists.values())]
        held = sum(array.nbytes for some in (segment.base, *layouts, segment.graph or ()) for array in some)
        everything = len(segment) + (len(tail) if tail else 0)
        return {
            "rows": len(state), "dead": everything - len(state), "tail": len(tail) if tail else 0,
            "cells": segment.layout.n_cells, "lists": {k: len(v.layout.where) for k, v in segment.lists.items()},
            "links": int((segment.graph.links >= 0).sum()) if segment.graph else 0,
            "bytes_per_row": round(held / len(segment), 1), "costs": segment.costs.record(),
        }  # fmt: skip

    def _asked(self, queries: ArrayLike, k: int, recall: float | None) -> tuple[State, NDArray[np.float32], float]:
        state = self._fitted().on(self.threads)
        asked = check_queries(queries, self.metric, width=state.segment.base.rows.shape[1])
        if recall is None:
            recall = self.recall
        elif not (type(recall) is float and 0 <= recall <= 1):  # to call the check takes longer
            recall = check_real(recall, "recall", low=0.0, high=1.0)
        if not (type(k) is int and k > 0):
            check_integer(k, "k", low=1)
        return state, asked, recall

    def _allowed(self) -> Sequence[str]:
        if self.plans == "auto":
            return _ALL
        if not isinstance(self.plans, str) or not self.plans or set(self.plans) - set(PLANS):
            raise InputError("plans", got=repr(self.plans), expected="'auto' or letters of " + "".join(PLANS))
        return list(self.plans)

    def _present(self, ids: ArrayLike, state: State) -> IntArray:
        numbers = listed_ids(ids)
        missing = np.maximum(*state.find(numbers)) < 0
        if missing.any():
            raise InputError("ids", got=f"id {numbers[missing][0]}", expected="ids of rows that are there")
        return numbers

    def _put(self, state: State, ids: IntArray, rows: NDArray[np.float32], *, table: pa.Table) -> None:
        following = state.put(ids, rows, table)
        if self._store is not None:
            self._store.put(ids, rows, table)
        self._state = following
        tail = self._state.tail
        if tail is not None and len(tail) > max(_TAIL, _TAIL_SHARE * len(self._state.segment)):
            self.compact()

    def _replace(self, state: State) -> None:
        if self._store is not None:
            self._store.replace(self._options(), state)
        self._state = state

    def _options(self) -> dict[str, Any]:
        seed = self.random_state if isinstance(self.random_state, int) else None
        return {
            "metric": self.metric, "recall": self.recall, "plans": self.plans, "threads": self.threads,
            "compiled": self.compiled, "remembered": self.remembered, "graph": self.graph, "random_state": seed,
        }  # fmt: skip

    def _changeable(self) -> State:
        if self._read_only:
            raise InputError("index", got="one that was loaded to be read", expected="load(path, writable=True)")
        return self._fitted()

    def _fitted(self) -> State:
        if self._state is None:
            raise InputError("index", got="an index without rows", expected="a fitted one", remedy="call fit or load")
        return self._state
