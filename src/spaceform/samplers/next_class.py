"""Which class to label next, so that the most labels can be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from spaceform.checks import check_choice, check_integer
from spaceform.geometry.finite import LabelMetric
from spaceform.geometry.locus import locus
from spaceform.geometry.tree import TreeMetric
from spaceform.ops.selection import furthest_first
from spaceform.rng import as_generator
from spaceform.types import BoolArray, IntArray, RandomState

STRATEGIES = ("furthest", "max_gain", "random")


@dataclass(frozen=True)
class SelectionPath:
    """The ids chosen one after another, and how many labels were reachable before the first and after each."""

    picks: IntArray
    locus_sizes: IntArray


@final
class NextClassSelector:
    """Choose which class to label next, so that the most labels become reachable by a Frechet mean.

    ``"furthest"``: ``argmax_y min_(u in Pi) d(y, u)``, the label furthest from the locus ``Pi`` (Loki, active
    selection); on an unweighted tree it adds ``d(y, Pi)`` labels, and no other pick adds more. ``"max_gain"``: the pick
    after which the locus is largest. ``"random"``: any label outside the locus.

    A locus is cheap on trees only. Elsewhere ``"furthest"`` and ``"random"`` take the observed labels in its place
    (k-centre selection, sizes count observed labels), unless ``exact``.

    Parameters: ``metric`` the label metric; ``strategy``; ``exact`` solves for the locus of metrics that are no trees
    (N linear programmes); ``random_state`` for ``"random"``.

    Cost of a pick: O(N) on a tree (``"max_gain"`` O(N^2)), one row of distances elsewhere; with ``exact`` N, and with
    ``"max_gain"`` N^2 linear programmes.

    >>> NextClassSelector(metric=TreeMetric([-1, 0, 1, 2, 0])).select([4])
    array([3])
    """

    def __init__(
        self,
        *,
        metric: LabelMetric,
        strategy: str = "furthest",
        exact: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.metric = metric
        self.strategy = check_choice(strategy, "strategy", STRATEGIES)
        self.exact = exact
        self.random_state = random_state

    def select(self, observed: ArrayLike, *, n: int = 1) -> IntArray:
        """Return up to ``n`` ids to label next, in order; fewer when every label is reachable before."""
        return self.path(observed, n).picks

    def path(self, observed: ArrayLike, budget: int) -> SelectionPath:
        """Return up to ``budget`` picks in order and the locus sizes ``(picks + 1,)`` along the way.

        Raises ``InputError`` for repeated or unknown ``observed`` ids and a negative budget.
        """
        check_integer(budget, "budget", low=0)
        known = self.metric.distinct(observed)
        generator = as_generator(self.random_state)
        if self.strategy == "furthest" and not self._knows_locus():
            return self._furthest_from_observed(known, budget)
        reached = self._reached(known)
        sizes, picks = [int(reached.sum())], list[int]()
        while len(picks) < budget and not reached.all():
            picks.append(self._pick(known, reached, generator))
            known = np.append(known, picks[-1])
            reached = self._reached(known)
            sizes.append(int(reached.sum()))
        return SelectionPath(np.array(picks, dtype=np.int64), np.array(sizes, dtype=np.int64))

    def _knows_locus(self) -> bool:
        return isinstance(self.metric, TreeMetric) or self.exact or self.strategy == "max_gain"

    def _reached(self, known: IntArray) -> BoolArray:
        if self._knows_locus():
            return locus(self.metric, known)
        mask = np.zeros(len(self.metric), dtype=bool)
        mask[known] = True
        return mask

    def _pick(self, known: IntArray, reached: BoolArray, generator: np.random.Generator) -> int:
        outside = np.flatnonzero(~reached)
        if self.strategy == "random":
            return int(generator.choice(outside))
        if self.strategy == "max_gain":
            gains = [int(self._reached(np.append(known, label)).sum()) for label in outside]
            return int(outside[int(np.argmax(gains))])
        inside = np.flatnonzero(reached)
        if isinstance(self.metric, TreeMetric):
            return int(self.metric.nearest_distances(inside).argmax())
        return int(self.metric.distances(inside).min(axis=0).argmax())

    def _furthest_from_observed(self, known: IntArray, budget: int) -> SelectionPath:
        near = self.metric.distances(known).min(axis=0)
        near[known] = -1
        count = min(budget, len(self.metric) - len(known))
        picks = furthest_first(lambda i: self.metric.distances([i])[0], near, count=count)[0]
        return SelectionPath(picks, len(known) + np.arange(len(picks) + 1))
