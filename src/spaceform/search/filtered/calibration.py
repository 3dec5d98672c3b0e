"""Measuring an index on itself: how far the cell plan must look for a recall, and what every plan costs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from spaceform.search.filtered import planner
from spaceform.search.filtered.graph.links import Graph
from spaceform.search.filtered.graph.walking import walked
from spaceform.search.filtered.planner import BEAMS, GAMMAS, MANY, SHARES, TRIED_K, Costs
from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.search.filtered.scan.engine import PLANS, Engine, Wanted
from spaceform.search.filtered.scan.layout import Base, Layout
from spaceform.search.filtered.scan.queries import prepare, with_cells
from spaceform.search.filtered.sets.selected import Marked, functions
from spaceform.types import BoolArray, FloatArray, IntArray

_TRIED, _TRIED_SLOWLY, _TIMED = 32, 4, 8
_FEW = 256
"""Below so many rows nothing is measured: to scan them all takes less than to choose."""
_FAR_CELLS = 0.3
"""Share of the cells beyond the nearest quarter that hold the matches when correlation is negative."""
_CELLS_TRIED, _GRAPH_TRIED = (1.0, 0.1, 0.01), (1.0, 0.5, 0.3)
"""Selectivities at which the recall of cells, and of walks on a graph, is measured."""


@dataclass(frozen=True)
class Subject:
    """A layout of the rows of a base (of those at ``where`` only, for a private list), and rows drawn as queries."""

    base: Base
    layout: Layout
    engine: Engine
    drawn: IntArray
    where: IntArray | None
    graph: Graph | None = None

    @property
    def inside(self) -> IntArray:
        """The positions of the rows that are laid out."""
        return np.arange(len(self.base.ids)) if self.where is None else self.where

    @cached_property
    def _alone(self) -> Engine:
        """The engine on one thread: times are those of one."""
        return replace(self.engine, threads=1)

    def scan(self, plan: str, words: Words, recall: float, *, rows: IntArray, gamma: float) -> IntArray:
        """Return the ids that a plan finds for rows as queries; ``gamma`` is the length of the beam of a walk."""
        if plan == "G":
            assert self.graph is not None  # noqa: S101  G is measured where there is one
            matches = Marked(words, functions(compiled=self.engine.compiled).count(words))
            return walked(
                self._alone, Wanted(PLANS[plan], near=gamma, far=gamma), self.base.rows[rows], TRIED_K, rows=matches,
                base=self.base, layout=self.layout, graph=self.graph, recall=recall,
            )[0].ids  # fmt: skip
        return self._alone.scan(
            Wanted(PLANS[plan], near=gamma, far=gamma), self.base.rows[rows], TRIED_K, words=words, base=self.base,
            layout=self.layout, recall=recall,
        )[0].ids  # fmt: skip


def calibrated(
    base: Base, layout: Layout, engine: Engine, *, recall: float, generator: np.random.Generator,
    where: IntArray | None = None, graph: Graph | None = None,
) -> Costs:  # fmt: skip
    """Measure a layout with some of its rows as queries, each held out of its own answers; about a second.

    Recalls are measured with matches drawn evenly, and with none in the cells nearest to the query. At ``recall`` 1
    bounds decide how far to look, and only times are measured.
    """
    inside = np.arange(len(base.ids)) if where is None else where
    tried = min(_TRIED if engine.compiled else _TRIED_SLOWLY, len(inside))
    subject = Subject(base, layout, engine, generator.choice(inside, tried, replace=False), where, graph)
    if len(inside) < _FEW:
        return _of_few(subject)
    plan, steps = "I" if where is None else "P", GAMMAS[:-1]  # the last one is a bound
    even = _recalls(subject, _even(subject, generator, _CELLS_TRIED), recall, plan=plan, steps=steps)
    far = np.minimum(even, _recalls(subject, _far(subject, generator), recall, plan=plan, steps=steps))
    machine = planner.this_machine(compiled=engine.compiled)
    costs = Costs(machine, [], {}, [*even.tolist(), 1.0], [*far.tolist(), 1.0])
    if graph is not None:
        even = _recalls(subject, _even(subject, generator, _GRAPH_TRIED), recall, plan="G", steps=BEAMS)
        ways = itertools.islice(_far(subject, generator), 1)  # the other one has too few matches for a walk
        far = np.minimum(even, _recalls(subject, ways, recall, plan="G", steps=BEAMS))
        costs = replace(costs, walks=even.tolist(), walks_far=far.tolist())
    return timed(subject, costs, recall=recall, generator=generator)


def timed(subject: Subject, costs: Costs, *, recall: float, generator: np.random.Generator) -> Costs:
    """Return costs with times measured on this machine."""
    if len(subject.inside) < _FEW:
        return _of_few(subject)
    rows, many = subject.drawn[:_TIMED], np.resize(subject.drawn, MANY)

    def run(plan: str, words: Sequence[Words], asked: float) -> None:
        if plan == "M":
            subject.scan(plan, words[0], asked, rows=many, gamma=1.0)
            return
        for row, some in zip(rows, words, strict=True):  # one by one: what a call costs before it scans counts
            how_far = costs.beam(asked) if plan == "G" else costs.gamma(asked)
            subject.scan(plan, some, asked, rows=row[None], gamma=how_far)

    plans = ["P"] if subject.where is not None else ["S", "I", "M", *(["B"] if subject.layout.signs.size else [])]
    plans += ["G"] if costs.beam(recall) else []
    asked = {f"{plan} exact": (plan, 1.0) for plan in plans if plan != "G"}  # which then gives up
    if recall < 1:
        asked |= {plan: (plan, recall) for plan in plans if plan != "M"}  # whose bounds do not depend on it
    measured = planner.measure(run, asked, len(subject.base.ids), queries=len(rows), drawn=generator)
    count = {name: len(many) if name[0] == "M" else len(rows) for name in measured}
    seconds = {name: [time / count[name] for time in times] for name, times in measured.items()}
    matches = [share * len(subject.inside) for share in SHARES]
    machine = planner.this_machine(compiled=subject.engine.compiled)
    return replace(costs, machine=machine, matches=matches, seconds=seconds)


def _of_few(subject: Subject) -> Costs:
    """Return costs by which all rows are scanned, and bounds are bounds."""
    names, unknown = ("P", "P exact") if subject.where is not None else ("S", "S exact"), [0.0] * (len(GAMMAS) - 1)
    machine = planner.this_machine(compiled=subject.engine.compiled)
    return Costs(machine, [len(subject.inside)], {name: [1e-5] for name in names}, [*unknown, 1.0], [*unknown, 1.0])


def _even(
    subject: Subject, generator: np.random.Generator, shares: Sequence[float]
) -> Iterator[Callable[[int], BoolArray]]:
    """Yield ways to draw matches all over the rows, for several selectivities."""
    n = len(subject.base.ids)
    for share in shares:
        if share * len(subject.inside) >= 4 * TRIED_K:
            yield lambda query, share=share: generator.random(n) < share  # type: ignore[misc]


def _far(subject: Subject, generator: np.random.Generator) -> Iterator[Callable[[int], BoolArray]]:
    """Yield ways to draw cells far from the query whose rows match, all of them or a tenth."""
    layout, n = subject.layout, len(subject.base.ids)
    if layout.n_cells < 8:
        return
    entries = np.arange(n) if subject.where is None else layout.where
    cell = np.repeat(np.arange(layout.n_cells), np.diff(layout.starts))
    asked = prepare(subject.base.rows[subject.drawn], layout, subject.engine.metric, recall=1.0)
    order = np.argsort(-with_cells(asked, layout, subject.engine.metric, gamma=0.0).reach, axis=1)

    def drawn(query: int, share: float) -> BoolArray:
        far = order[query, layout.n_cells // 4 :]
        chosen = np.zeros(layout.n_cells, bool)
        chosen[generator.choice(far, max(1, int(_FAR_CELLS * len(far))), replace=False)] = True
        mask = np.zeros(n, bool)
        mask[entries] = chosen[cell]
        return mask & (generator.random(n) < share)

    yield lambda query: drawn(query, 1.0)
    if _FAR_CELLS / 10 * len(entries) >= 4 * TRIED_K:
        yield lambda query: drawn(query, 0.1)


def _recalls(
    subject: Subject, ways: Iterable[Callable[[int], BoolArray]], recall: float, *, plan: str, steps: Sequence[float]
) -> FloatArray:
    """Return the worst mean recall of a plan at each of ``steps``, how far it looks; 0 where nothing was measured."""
    exact, n = ("I" if subject.where is None else "P"), len(subject.base.ids)
    present = np.zeros(n, bool)
    present[subject.inside] = True
    worst = np.ones(len(steps))
    measured = False
    for way in ways if recall < 1 else ():
        measured = True
        pairs = []
        for query, row in enumerate(subject.drawn):
            mask = way(query) & present
            mask[row] = False
            pairs.append((bitmaps.pack(mask), np.array([row])))
        truth = np.vstack([subject.scan(exact, words, 1.0, rows=row, gamma=1.0) for words, row in pairs])
        for step, gamma in enumerate(steps):
            found = [subject.scan(plan, words, recall, rows=row, gamma=gamma) for words, row in pairs]
            reached = planner.recall_of(np.vstack(found), truth)
            worst[step] = min(worst[step], reached)
            if reached == 1:
                break
    if not measured:
        worst[:] = 0
    return np.maximum.accumulate(worst)
