"""How sure a discovery is: other seeds, and known classes hidden and looked for again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spaceform.clustering.hidden_classes import HiddenClassSplit
from spaceform.clustering.kmeans import kmeans
from spaceform.metrics.clustering import hungarian_accuracy
from spaceform.ops.assignment import contingency
from spaceform.rng import derive_seed
from spaceform.types import FloatArray, IntArray

MIN_KNOWN = 4
"""With fewer known classes there is nothing to hide."""

STABLE, DISSOLVING = 0.75, 0.5
"""Mean Jaccard similarity above which a cluster is stable, and below which it dissolves (Hennig, 2007)."""

Fit = Callable[[IntArray, int | None, int], IntArray]
"""Labels (n,), the number of novel classes and a seed -> the class of each unlabelled row."""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """Known classes hidden as if they were new: ``accuracy`` on their rows, beside k-means on the vectors.

    ``hidden`` classes of ``rows`` rows were hidden together with the truly unlabelled ones, and only the hidden rows
    are scored, in as many clusters as they came to lie in; ``accuracy`` and ``plain`` are Hungarian, in [0, 1].
    """

    hidden: int
    rows: int
    accuracy: float
    plain: float


def rehearse(X: FloatArray, y: IntArray, fit: Fit, *, n_novel: int, seed: int) -> Rehearsal | None:
    """Hide a quarter of the known classes, discover again, and score on these; None with fewer than 4 known classes."""
    if len(np.unique(y[y >= 0])) < MIN_KNOWN:
        return None
    split = HiddenClassSplit(n_splits=1, random_state=derive_seed(seed, "rehearsal") % 2**31)
    masked, rows = next(split.split(y))
    classes = len(np.unique(y[rows]))
    found = np.full(len(y), -1, np.int64)
    novel = masked == -1
    found[novel] = fit(masked, n_novel + classes, derive_seed(seed, "rehearsal fit") % 2**31)
    plain = kmeans(X[novel], n_novel + classes, n_init=3, random_state=derive_seed(seed, "plain")).labels
    beside = np.full(len(y), -1, np.int64)
    beside[novel] = plain
    return Rehearsal(
        hidden=classes,
        rows=len(rows),
        accuracy=_matched(y[rows], found[rows]),
        plain=_matched(y[rows], beside[rows]),
    )


def _matched(truth: IntArray, found: IntArray) -> float:
    """Hungarian accuracy; rows that were taken for a known class count as wrong."""
    return (
        float(np.mean(found >= 0)) * hungarian_accuracy(truth[found >= 0], found[found >= 0])
        if found.max() >= 0
        else 0.0
    )


def repeat(found: IntArray, y: IntArray, fit: Fit, *, times: int, seed: int) -> tuple[FloatArray, float]:
    """Return for each class its mean Jaccard similarity to its best counterpart under other seeds, and the agreement.

    The agreement is the share of rows that keep their class, mean over ``times`` seeds. Rows of ``found (m,)`` at -1,
    taken for known ones, are left out.
    """
    inside = found >= 0
    k = int(found.max()) + 1
    kept, shares = np.zeros(k), []
    for time in range(times):
        again = fit(y, k, derive_seed(seed, "again", time) % 2**31)[inside]
        names = np.where(again >= 0, again, int(again.max()) + 1)
        table = contingency(found[inside], names)
        union = table.counts.sum(1, keepdims=True) + table.counts.sum(0) - table.counts
        kept[table.classes] += (table.counts / union).max(1)
        shares.append(hungarian_accuracy(found[inside], names))
    return kept / times, float(np.mean(shares))


def conclude(*, stability: Sequence[float], agreement: float | None, rehearsal: Rehearsal | None) -> Iterator[str]:
    """Yield in words how far to trust the classes."""
    stable = sum(one >= STABLE for one in stability)
    loose = sum(one < DISSOLVING for one in stability)
    yield f"{stable} of {len(stability)} classes are stable when 80% of the rows are clustered again, {loose} dissolve"
    if agreement is not None:
        yield f"with other seeds {agreement:.0%} of the rows keep their class"
    if rehearsal is not None:
        yield (
            f"{rehearsal.hidden} known classes, hidden as if they were new, came back with {rehearsal.accuracy:.0%} of "
            f"their {rehearsal.rows:,} rows right (k-means on the vectors: {rehearsal.plain:.0%})"
        )
