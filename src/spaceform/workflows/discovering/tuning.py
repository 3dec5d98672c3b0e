"""Choosing a method and its settings by hiding known classes and finding them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spaceform.clustering.hidden_classes import HiddenClassSearchCV, HiddenClassSplit
from spaceform.rng import derive_seed
from spaceform.types import FloatArray, IntArray, Progress
from spaceform.workflows.discovering.methods import Way

CANDIDATES, FOLDS = 4, 2


@dataclass(frozen=True)
class Tuned:
    """The way that found hidden known classes best, its settings, and the accuracy of every way that was tried."""

    way: Way
    settings: Mapping[str, Any]
    accuracies: Mapping[str, float]


def tune(ways: Sequence[Way], X: FloatArray, y: IntArray, *, epochs: int, seed: int, progress: Progress) -> Tuned:
    """Hide known classes of rows ``X (n, d)`` with codes ``y (n,)``, -1 unlabelled, and see which way finds them.

    All ways are tried on the same folds, each with up to `CANDIDATES` of its settings. A way that stands first wins a
    tie. One way without settings to choose from is returned untried.
    """
    if len(ways) == 1 and not ways[0].search:
        return Tuned(ways[0], {}, {})
    tried = {way.name: _search(way, X, y, epochs=epochs, seed=seed, progress=progress) for way in ways}
    best = max(ways, key=lambda way: float(tried[way.name].best_score_))
    accuracies = {name: float(search.best_score_) for name, search in tried.items()}
    return Tuned(best, dict(tried[best.name].best_params_), accuracies)


def _search(way: Way, X: FloatArray, y: IntArray, *, epochs: int, seed: int, progress: Progress) -> HiddenClassSearchCV:
    settings = {"epochs": max(5, epochs // 3), "n_init": 3, "random_state": derive_seed(seed, "tuning")}
    return HiddenClassSearchCV(
        estimator=way.make(2, settings),
        param_distributions=way.search,
        n_iter=CANDIDATES,
        cv=HiddenClassSplit(n_splits=FOLDS, random_state=derive_seed(seed, "folds")),
        refit=False,
        random_state=derive_seed(seed, "candidates") % 2**31,
    ).fit(X, y, progress=progress)
