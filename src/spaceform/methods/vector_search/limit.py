"""LIMIT: how many documents can vectors of d dimensions serve, if every set of k of them is somebody's answer?

Query and document vectors are free parameters, optimised on the relevance itself: the most favourable case there is.
What even they do not return, no encoder of that width will. What an optimiser reaches is a lower bound of what exists:
:mod:`spaceform.ops.capacity.moment_curve` returns every pair of any number of documents in four dimensions, at a
vanishing margin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_integer, check_matrix, check_real
from spaceform.errors import InputError
from spaceform.metrics.relevance.sets import set_margins
from spaceform.ops.capacity.bounds import published_critical_n
from spaceform.ops.capacity.subsets import check_relevance, check_set_size, document_sets, relevance_table
from spaceform.ops.pairs import ZERO_NORM, l2_normalize, row_blocks
from spaceform.rng import as_generator, derive_seed
from spaceform.types import BoolArray, FloatArray, Progress, no_progress

_BETAS, _EPSILON = (0.9, 0.999), 1e-8
"""Adam as the released script leaves it."""

_SWEEP = (4, 5)
"""So many fewer and more documents than were found are tried too: success is not monotone."""


@dataclass(frozen=True, kw_only=True)
class FreeOptimiser:
    """How free embeddings are optimised; the defaults are the paper's.

    ``temperature`` divides the cosines; ``learning_rate`` is Adam's; at most ``max_steps`` steps, fewer when the loss
    has not fallen by ``tolerance`` for ``patience`` steps. ``check_every`` steps the answers are compared. With
    ``stop_when_exact=False`` it goes on for a wider margin. Raises ``InputError`` for values out of range.
    """

    temperature: float = 0.1
    learning_rate: float = 0.01
    max_steps: int = 100_000
    patience: int = 1_000
    tolerance: float = 1e-5
    check_every: int = 50
    stop_when_exact: bool = True

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name in ("temperature", "learning_rate"):
            if check_real(getattr(self, name), name, low=0) == 0:
                raise InputError(name, got=0.0, expected="a number above 0")
        for name in ("max_steps", "patience", "check_every"):
            check_integer(getattr(self, name), name, low=1)
        check_real(self.tolerance, "tolerance", low=0)


PAPER = FreeOptimiser()


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


def free_embedding(
    relevance: ArrayLike,
    d: int,
    *,
    optimiser: FreeOptimiser = PAPER,
    init: tuple[ArrayLike, ArrayLike] | None = None,
    random_state: int = 42,
    progress: Progress = no_progress,
) -> FreeEmbeddingResult:
    """Optimise vectors of d dimensions until each query returns exactly its relevant documents, if they ever do.

    The loss is that of `free_loss`; after each step of Adam, whose moments stay as they are, rows are scaled back
    to unit length. The best answers ever seen count, not the last.

    Parameters: ``relevance (m, n)`` of 0 and 1, no row empty or full; ``d`` >= 1; ``init``: queries and documents to
    start from (default: normal, scaled). Raises ``InputError`` for others. O(m n d) per step; memory for the table
    and one block of scores.

    >>> import numpy as np
    >>> found = free_embedding(np.eye(5), 2)
    >>> found.accuracy, found.margin > 0
    (1.0, True)
    """
    table = check_relevance(relevance)
    queries, documents = _start(table.shape, check_integer(d, "d", low=1), init, random_state)
    adam = [_Adam(queries.shape, optimiser.learning_rate), _Adam(documents.shape, optimiser.learning_rate)]
    best = (-1.0, -np.inf, queries, documents)
    lowest, since, step, loss, stopped = np.inf, 0, 0, np.inf, "steps"
    for step in range(optimiser.max_steps + 1):
        if step % optimiser.check_every == 0 or step == optimiser.max_steps:
            margins = _margins(queries, documents, table)
            found = (float((margins > 0).mean()), float(margins.min()), queries, documents)
            best = max(best, found, key=lambda one: one[:2])
            progress("free embedding", step, optimiser.max_steps, {"accuracy": best[0]})
            if best[0] == 1 and optimiser.stop_when_exact:
                stopped = "exact"
                break
        if step == optimiser.max_steps:
            break
        loss, of_queries, of_documents = free_loss(queries, documents, table, temperature=optimiser.temperature)
        since = 0 if loss < lowest - optimiser.tolerance else since + 1
        lowest = loss if since == 0 else lowest
        if since >= optimiser.patience:
            stopped = "patience"
            break
        queries = _on_sphere(queries, adam[0].step(of_queries))
        documents = _on_sphere(documents, adam[1].step(of_documents))
    accuracy, margin, queries, documents = best
    return FreeEmbeddingResult(
        queries=queries,
        documents=documents,
        accuracy=accuracy,
        margin=margin,
        steps=step,
        stopped=stopped,
        loss=float(loss),
    )


def free_loss(
    queries: FloatArray, documents: FloatArray, relevance: BoolArray, *, temperature: float = 0.1
) -> tuple[float, FloatArray, FloatArray]:
    """Return the multi-positive InfoNCE loss and its gradients by queries ``(m, d)`` and documents ``(n, d)``.

    Minus the mean, over all relevant pairs, of ``log softmax(q . D / temperature)``; the other relevant documents stay
    in the denominator, so that the least possible value is log k, not 0. The gradient is that of free rows, not of
    rows on the sphere. Closed form: ``G = (k P - A) / (pairs * temperature)``, ``G D`` and ``G^T Q``. O(m n d).
    """
    pairs = int(relevance.sum())
    total, of_queries, of_documents = 0.0, np.empty_like(queries), np.zeros_like(documents)
    for block in row_blocks(*relevance.shape):
        rows, wanted = queries[block], relevance[block]
        scores = rows @ documents.T
        scores /= temperature
        top = scores.max(1, keepdims=True)
        counts = wanted.sum(1)
        positive = float(scores[wanted].sum())
        scores -= top
        np.exp(scores, out=scores)
        sums = scores.sum(1, keepdims=True)
        total += float(counts @ (np.log(sums) + top)[:, 0]) - positive
        scores *= counts[:, None] / sums
        scores -= wanted
        scores /= pairs * temperature
        of_queries[block] = scores @ documents
        of_documents += scores.T @ rows
    return total / pairs, of_queries, of_documents


@dataclass(frozen=True, kw_only=True)
class CriticalN:
    """``n``: the most documents of which d dimensions returned every k-subset, k if not even k + 1 were.

    ``accuracies`` has every number of documents that was tried, ascending; success need not be monotone in it.
    """

    d: int
    k: int
    n: int
    accuracies: dict[int, float]


def critical_n(
    d: int,
    k: int = 2,
    *,
    start: int | None = None,
    sweep: tuple[int, int] = _SWEEP,
    restarts: int = 1,
    optimiser: FreeOptimiser = PAPER,
    random_state: int = 42,
    progress: Progress = no_progress,
) -> CriticalN:
    """Search the largest n for which free embeddings in d dimensions return every k-subset of n documents.

    Gallops from ``start`` by 1, 2, 4, ..., bisects, then tries the numbers from ``sweep[0]`` fewer to ``sweep[1]``
    more than were found and takes the largest that succeeded. In two or three dimensions documents can't pass each
    other, so that a start may lead nowhere: ``restarts`` of them are tried (the paper: one).

    Raises ``InputError`` for d, k or restarts below 1 and more sets than are listed. Each try costs O(C(n, k) n d) per
    step.
    """
    d, k = check_integer(d, "d", low=1), check_integer(k, "k", low=1)
    restarts = check_integer(restarts, "restarts", low=1)
    fewer, more = (check_integer(count, "sweep", low=0) for count in sweep)
    first = start if start is not None else round(published_critical_n(d)) if k == 2 and d > 3 else k + 2
    accuracies: dict[int, float] = {}

    def solves(n: int) -> bool:
        if n not in accuracies:
            table, accuracies[n] = all_sets(n, k), 0.0
            for restart in range(restarts):
                seed = derive_seed(random_state, "free", d, n, restart)
                found = free_embedding(table, d, optimiser=optimiser, random_state=seed)
                accuracies[n] = max(accuracies[n], found.accuracy)
                if accuracies[n] == 1:
                    break
            progress(f"critical n, d={d}", len(accuracies), 0, {"n": n, "accuracy": accuracies[n]})
        return accuracies[n] == 1

    found = _last_true(solves, max(first, k + 1), k + 1)
    for n in range(max(found - fewer, k + 1), found + more + 1):
        solves(n)
    most = max((n for n, accuracy in accuracies.items() if accuracy == 1), default=k)
    return CriticalN(d=d, k=k, n=most, accuracies=dict(sorted(accuracies.items())))


def capacity_curve(
    dims: Sequence[int],
    k: int = 2,
    *,
    sweep: tuple[int, int] = _SWEEP,
    restarts: int = 1,
    optimiser: FreeOptimiser = PAPER,
    random_state: int = 42,
    progress: Progress = no_progress,
) -> list[CriticalN]:
    """Return `critical_n` for each of ``dims``; each search starts where the one before ended."""
    curve: list[CriticalN] = []
    for d in dims:
        curve.append(
            critical_n(
                d,
                k,
                start=curve[-1].n + 1 if curve else None,
                sweep=sweep,
                restarts=restarts,
                optimiser=optimiser,
                random_state=random_state,
                progress=progress,
            )
        )
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


def _last_true(holds: Callable[[int], bool], first: int, least: int) -> int:
    """Return the end of a run of numbers for which ``holds``, found from ``first``; ``least - 1`` if there is none."""
    step = 1
    if holds(first):
        low, high = first, first + 1
        while holds(high):
            step *= 2
            low, high = high, high + step
    else:
        low, high = first - 1, first
        while low >= least and not holds(low):
            step *= 2
            low, high = low - step, low
        low = max(low, least - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


class _Adam:
    """Adam without weight decay; moments are of the free gradient and are not projected."""

    def __init__(self, shape: tuple[int, ...], learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.mean, self.square, self.count = np.zeros(shape), np.zeros(shape), 0

    def step(self, gradient: FloatArray) -> FloatArray:
        """Return what to subtract."""
        first, second = _BETAS
        self.count += 1
        self.mean += (1 - first) * (gradient - self.mean)
        self.square += (1 - second) * (gradient * gradient - self.square)
        scale = self.learning_rate / (1 - first**self.count)
        return np.asarray(scale * self.mean / (np.sqrt(self.square / (1 - second**self.count)) + _EPSILON))


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


def _on_sphere(rows: FloatArray, change: FloatArray) -> FloatArray:
    """Return unit rows after the change; a row that it takes to 0, which has no direction, stays where it was."""
    moved = rows - change
    norms = np.sqrt(np.einsum("nd,nd->n", moved, moved))[:, None]
    if norms.min() < ZERO_NORM:
        moved, norms = np.where(norms < ZERO_NORM, rows, moved), np.where(norms < ZERO_NORM, 1.0, norms)
    moved /= norms
    return np.asarray(moved)


def _margins(queries: FloatArray, documents: FloatArray, table: BoolArray) -> FloatArray:
    blocks = row_blocks(*table.shape)
    return np.concatenate([set_margins(queries[block] @ documents.T, table[block]) for block in blocks])


def all_sets(n: int, k: int) -> BoolArray:
    """Return the table of relevance in which every k-subset of n documents is a query: ``(C(n, k), n)``."""
    n, k = check_set_size(n, k)
    return relevance_table(document_sets(n, k), n)
