"""LIMIT: how many documents can vectors of d dimensions serve, if every set of k of them is somebody's answer?

Query and document vectors are free parameters, optimised on the relevance itself: the most favourable case there is.
What even they do not return, no encoder of that width will. What an optimiser reaches is a lower bound of what exists:
:mod:`spaceform.ops.capacity.moment_curve` returns every pair of any number of documents in four dimensions, at a
vanishing margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_matrix
from spaceform.errors import InputError
from spaceform.ops.capacity.bounds import log_binomial, published_critical_n
from spaceform.ops.capacity.searching import last_true
from spaceform.ops.capacity.subsets import check_relevance, check_set_size, document_sets, relevance_table
from spaceform.ops.pairs import l2_normalize
from spaceform.rng import as_generator, derive_seed
from spaceform.training.free_vectors.descending import descend
from spaceform.training.free_vectors.optimiser import PAPER, FreeOptimiser
from spaceform.training.free_vectors.single import SingleDescent
from spaceform.types import BoolArray, FloatArray, IntArray, Progress, no_progress

_SWEEP = (4, 5)
"""So many fewer and more documents than were found are tried too: success is not monotone."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FreeEmbeddingResult:
    """Unit ``queries (m, d)`` and ``documents (n, d)`` at the check that answered most queries exactly.

    ``accuracy``: share of queries whose relevant documents are exactly the best, ties counted against; ``margin``: the
    least cosine of a relevant document less the largest of an irrelevant one, over the worst query, above 0 where
    ``accuracy`` is 1. ``steps`` were made until it ``stopped`` for being "exact", out of "patience" or of "steps";
    ``loss`` is the last one.
    """

    queries: FloatArray = field(repr=False)
    documents: FloatArray = field(repr=False)
    accuracy: float
    margin: float
    steps: int
    stopped: str
    loss: float


Init = tuple[ArrayLike, ArrayLike]
"""Queries ``(m, d)`` and documents ``(n, d)`` to start from."""


def free_embedding(
    relevance: ArrayLike,
    d: int,
    *,
    optimiser: FreeOptimiser = PAPER,
    init: Init | None = None,
    random_state: int = 42,
    progress: Progress = no_progress,
) -> FreeEmbeddingResult:
    """Optimise vectors of d dimensions until each query returns exactly its relevant documents, if they ever do.

    After each step of Adam, whose moments stay as they are, rows are scaled back to unit length. The best answers
    ever seen count, not the last.

    Parameters: ``relevance (m, n)`` of 0 and 1, no row empty or full; ``d`` >= 1; ``init``: queries and documents to
    start from (default: normal, scaled). Raises ``InputError`` for others. O(m n d) per step; memory for the table
    and one block of scores.

    >>> import numpy as np
    >>> found = free_embedding(np.eye(5), 2)
    >>> found.accuracy, found.margin > 0
    (1.0, True)
    """
    return free_embeddings(
        [relevance], d, optimiser=optimiser, inits=[init], random_states=[random_state], progress=progress
    )[0]


def free_embeddings(
    relevances: Sequence[ArrayLike],
    d: int,
    *,
    optimiser: FreeOptimiser = PAPER,
    inits: Sequence[Init | None] | None = None,
    random_states: Sequence[int] | None = None,
    progress: Progress = no_progress,
) -> list[FreeEmbeddingResult]:
    """Return `free_embedding` of several tables, or of one table from several starts.

    With ``backend="torch"`` they are one tensor, padded to the largest, and those that are done leave it; with numpy
    they come one after the other. ``inits`` and ``random_states`` have an entry per table (default: none, 42).
    Raises ``InputError`` as `free_embedding` and for other lengths.
    """
    tables = [check_relevance(relevance) for relevance in relevances]
    d, count = check_integer(d, "d", low=1), len(tables)
    inits = [None] * count if inits is None else inits
    random_states = [42] * count if random_states is None else random_states
    for name, given in (("inits", inits), ("random_states", random_states)):
        if len(given) != count:
            raise InputError(name, got=f"{len(given)} entries", expected=f"{count}, one per table")
    if not count:
        raise InputError("relevances", got="none", expected="one table or more")
    starts = [
        (*_start(table.shape, d, init, seed), table)
        for table, init, seed in zip(tables, inits, random_states, strict=True)
    ]
    if optimiser.backend == "torch":
        from spaceform.training.free_vectors.batch import BatchDescent

        whole = BatchDescent(starts, objective=optimiser.objective, device=optimiser.device)
        runs = descend(whole, count, optimiser, progress)
    else:
        singles = (SingleDescent(*start, objective=optimiser.objective) for start in starts)
        runs = [descend(single, 1, optimiser, progress)[0] for single in singles]
    return [
        FreeEmbeddingResult(
            queries=run.rows[0],
            documents=run.rows[1],
            accuracy=run.best[0],
            margin=run.best[1],
            steps=run.steps,
            stopped=run.stopped,
            loss=run.loss,
        )
        for run in runs
    ]


@dataclass(frozen=True, kw_only=True)
class CriticalN:
    """``n``: the most documents of which d dimensions returned every k-subset, k if not even k + 1 were.

    ``accuracies`` has every number of documents that was tried, ascending; success need not be monotone in it.
    ``steps`` were made in all. Where ``sampled``, so many sets stood for all and accuracy is an estimate, so that ``n``
    may be too large.
    """

    d: int
    k: int
    n: int
    accuracies: dict[int, float]
    steps: int = 0
    sampled: int | None = None


def critical_n(
    d: int,
    k: int = 2,
    *,
    start: int | None = None,
    sweep: tuple[int, int] = _SWEEP,
    restarts: int = 1,
    warm: bool = False,
    sample: int | None = None,
    optimiser: FreeOptimiser = PAPER,
    random_state: int = 42,
    progress: Progress = no_progress,
) -> CriticalN:
    """Search the largest n for which free embeddings in d dimensions return every k-subset of n documents.

    Gallops from ``start`` by 1, 2, 4, ..., bisects, then tries the numbers from ``sweep[0]`` fewer to ``sweep[1]``
    more than were found and takes the largest that succeeded. In two or three dimensions documents can't pass each
    other, so that a start may lead nowhere: ``restarts`` of them are tried (the paper: one). ``warm``: the first start
    for n has the vectors of the largest number below it that succeeded, and new ones for what was added. ``sample``:
    so many sets are drawn where there are more; so few sets may be served by any number of documents, of which none
    above `FARTHEST` is tried.

    Raises ``InputError`` for d, k, restarts or sample below 1 and more sets than are listed. Each try costs
    O(min(C(n, k), sample) n d) per step.
    """
    d, k = check_integer(d, "d", low=1), check_integer(k, "k", low=1)
    restarts = check_integer(restarts, "restarts", low=1)
    sample = None if sample is None else check_integer(sample, "sample", low=1)
    fewer, more = (check_integer(count, "sweep", low=0) for count in sweep)
    first = start if start is not None else round(published_critical_n(d)) if k == 2 and d > 3 else k + 2
    search = _Search(
        d, k, restarts=restarts, warm=warm, sample=sample, optimiser=optimiser, random_state=random_state,
        progress=progress,
    )  # fmt: skip
    found = last_true(search.solves, first=max(first, k + 1), least=k + 1)
    search.attempt(range(max(found - fewer, k + 1), found + more + 1))
    most = max((n for n, accuracy in search.accuracies.items() if accuracy == 1), default=k)
    return CriticalN(
        d=d, k=k, n=most, accuracies=dict(sorted(search.accuracies.items())), steps=search.steps,
        sampled=sample if search.sampled else None,
    )  # fmt: skip


def capacity_curve(
    dims: Sequence[int],
    k: int = 2,
    *,
    sweep: tuple[int, int] = _SWEEP,
    restarts: int = 1,
    warm: bool = False,
    sample: int | None = None,
    optimiser: FreeOptimiser = PAPER,
    random_state: int = 42,
    progress: Progress = no_progress,
) -> list[CriticalN]:
    """Return `critical_n` for each of ``dims``; each search starts where the one before ended."""
    curve: list[CriticalN] = []
    for d in dims:
        start = curve[-1].n + 1 if curve else None
        found = critical_n(
            d, k, start=start, sweep=sweep, restarts=restarts, warm=warm, sample=sample, optimiser=optimiser,
            random_state=random_state, progress=progress,
        )  # fmt: skip
        curve.append(found)
    return curve


def least_dimension(
    relevance: ArrayLike,
    *,
    high: int,
    optimiser: FreeOptimiser = PAPER,
    random_state: int = 42,
    progress: Progress = no_progress,
) -> tuple[int | None, dict[int, FreeEmbeddingResult]]:
    """Return the least d up to ``high`` in which free embeddings return every query's set, and all that was tried.

    None when not even ``high`` dimensions did. Doubles d from 1, then bisects: between the answer and the failures
    below it success is taken to be monotone. Raises ``InputError`` as `free_embedding`.
    """
    table, high = check_relevance(relevance), check_integer(high, "high", low=1)
    tried: dict[int, FreeEmbeddingResult] = {}

    def fails(d: int) -> bool:
        if d not in tried:
            seed = derive_seed(random_state, "least", d)
            tried[d] = free_embedding(table, d, optimiser=optimiser, random_state=seed, progress=progress)
        return tried[d].accuracy < 1

    low, d = 0, 1
    while fails(d):
        if d == high:
            return None, dict(sorted(tried.items()))
        low, d = d, min(2 * d, high)
    while d - low > 1:
        middle = (low + d) // 2
        low, d = (middle, d) if fails(middle) else (low, middle)
    return d, dict(sorted(tried.items()))


class _Search:
    """What was tried of one dimension: the accuracy by number of documents, and the vectors of those that succeeded."""

    def __init__(
        self,
        d: int,
        k: int,
        *,
        restarts: int,
        warm: bool,
        sample: int | None,
        optimiser: FreeOptimiser,
        random_state: int,
        progress: Progress,
    ) -> None:
        self.d, self.k, self.restarts, self.warm, self.sample = d, k, restarts, warm, sample
        self.optimiser, self.random_state, self.progress = optimiser, random_state, progress
        self.accuracies: dict[int, float] = {}
        self.steps, self.sampled = 0, False
        self._solved: dict[int, tuple[IntArray, FreeEmbeddingResult]] = {}

    def solves(self, n: int) -> bool:
        """Whether every set of n documents was returned."""
        self.attempt([n])
        return self.accuracies[n] == 1

    def attempt(self, numbers: Sequence[int]) -> None:
        """Try all numbers of documents that were not tried yet: in one tensor, or one start after the other."""
        new = [n for n in numbers if n not in self.accuracies]
        tries = [(n, restart) for n in new for restart in range(self.restarts)]
        groups = [tries] if self.optimiser.backend == "torch" else [[one] for one in tries]
        for group in groups:
            self._try([one for one in group if self.accuracies.get(one[0], 0.0) < 1])

    def _try(self, tries: Sequence[tuple[int, int]]) -> None:
        if not tries:
            return
        sets = [self._sets(n) for n, _ in tries]
        results = free_embeddings(
            [relevance_table(own, n) for own, (n, _) in zip(sets, tries, strict=True)],
            self.d,
            optimiser=self.optimiser,
            inits=[self._init(n, own, restart) for own, (n, restart) in zip(sets, tries, strict=True)],
            random_states=[derive_seed(self.random_state, "free", self.d, n, restart) for n, restart in tries],
        )
        for (n, _), own, result in zip(tries, sets, results, strict=True):
            self.accuracies[n] = max(self.accuracies.get(n, 0.0), result.accuracy)
            self.steps += result.steps
            if result.accuracy == 1:
                self._solved[n] = own, result
            found = {"n": n, "accuracy": self.accuracies[n]}
            self.progress(f"critical n, d={self.d}", len(self.accuracies), 0, found)

    def _sets(self, n: int) -> IntArray:
        n, k = check_set_size(n, self.k)
        if self.sample is None or log_binomial(n, k) <= np.log(self.sample) + 1e-9:
            return document_sets(n, k)
        self.sampled = True
        seed = derive_seed(self.random_state, "sets", self.d, n)
        return document_sets(n, k, sample=self.sample, random_state=seed)

    def _init(self, n: int, sets: IntArray, restart: int) -> Init | None:
        """Return the vectors of fewer documents, grown to these sets; None for a start of its own."""
        fewer = [size for size in self._solved if size < n]
        if not self.warm or restart or not fewer:
            return None
        own, result = self._solved[max(fewer)]
        seed = derive_seed(self.random_state, "warm", self.d, n)
        return grown(result, own, sets, n=n, random_state=seed)


def grown(
    result: FreeEmbeddingResult, own: IntArray, sets: IntArray, *, n: int, random_state: int
) -> tuple[FloatArray, FloatArray]:
    """Return a start for ``n`` documents from vectors of fewer: queries of ``sets (m, k)`` and ``n`` documents.

    Documents and queries that ``result`` has, whose sets were ``own``, stay; new documents are drawn, and new queries
    begin at the mean of their documents. O(m k d).
    """
    d = result.documents.shape[1]
    drawn = l2_normalize(as_generator(random_state).normal(size=(n - len(result.documents), d)))
    documents = np.concatenate([result.documents, drawn])
    queries = documents[sets].sum(1)
    flat = np.linalg.norm(queries, axis=1) < _NO_MEAN  # documents that cancel out
    queries[flat] = documents[sets[flat, 0]]
    place = {tuple(one): row for row, one in enumerate(own.tolist())}
    for row, one in enumerate(sets.tolist()):
        if tuple(one) in place:
            queries[row] = result.queries[place[tuple(one)]]
    return l2_normalize(queries), documents


_NO_MEAN = 1e-6


def _start(
    shape: tuple[int, int], d: int, init: tuple[ArrayLike, ArrayLike] | None, random_state: int
) -> tuple[FloatArray, FloatArray]:
    if init is None:
        generator = as_generator(random_state)
        return l2_normalize(generator.normal(size=(shape[0], d))), l2_normalize(generator.normal(size=(shape[1], d)))
    made = []
    for rows, n, name in zip(init, shape, ("queries", "documents"), strict=True):
        checked = check_matrix(rows, f"init ({name})", width=d, dtype=np.float64)
        if len(checked) != n:
            raise InputError(f"init ({name})", got=f"{len(checked)} rows", expected=f"{n}, as in relevance")
        made.append(l2_normalize(checked, name=f"init ({name})"))
    return made[0], made[1]


def all_sets(n: int, k: int, *, sample: int | None = None, random_state: int = 42) -> BoolArray:
    """Return the table of relevance in which every k-subset of n documents, or ``sample`` of them, is a query.

    ``(C(n, k), n)`` or ``(sample, n)``. Raises ``InputError`` as `document_sets`.
    """
    n, k = check_set_size(n, k)
    return relevance_table(document_sets(n, k, sample=sample, random_state=random_state), n)
