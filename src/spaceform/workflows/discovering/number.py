"""How many classes: what several criteria say, and which of them was right where known classes were hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spaceform.clustering.n_clusters import SMALLER_IS_BETTER, ClusterSweep, sweep_criteria
from spaceform.errors import InputError
from spaceform.geometry.arrays import direction
from spaceform.rng import as_generator, derive_seed
from spaceform.types import FloatArray, IntArray, Progress

MIN_KNOWN = 8
"""With fewer known classes criteria are not tried on them."""

TRIED_SHARES = (0.25, 0.4, 0.6)
"""Shares of the largest number of classes considered that are hidden, at most half of the known classes."""

TRIALS = 2
"""Draws of classes for each share."""

RUNS, ROWS = 2, 600
"""Clusterings per number of classes, and most rows, of a trial."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Known classes of which only the rows were shown: their number, and what each criterion took it for."""

    classes: int
    said: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many classes to look for: what criteria say (``votes``), by what factor each was off, whom to believe.

    ``given`` is the number asked for, if one was; ``off`` is empty where criteria could not be tried.
    """

    votes: Mapping[str, ClusterSweep]
    off: Mapping[str, float]
    given: int | None

    @property
    def believed(self) -> ClusterSweep | None:
        """The sweep of the criterion that was most right on known classes; None where none was tried."""
        best = most_right(self.off)
        return None if best is None else self.votes[best]

    @property
    def number(self) -> int | None:
        """The number of classes to look for; None leaves it to the method."""
        return self.believed.best if self.believed is not None else self.given

    def records(self) -> dict[str, dict[str, Any]]:
        """Return what each criterion says as plain values."""
        return {
            name: sweep.to_dict() | {"curve": better_is_higher(sweep), "off": self.off.get(name)}
            for name, sweep in self.votes.items()
        }


def count(
    X: FloatArray, y: IntArray, given: int | None, *, k_max: int, tried: bool, seed: int, progress: Progress
) -> Count:
    """Ask for the number of classes among the unlabelled rows (``y`` -1) of ``X (n, d)``.

    ``tried``: criteria are tried on known classes first, unless a number is ``given``.
    """
    votes = opinions(X[y == -1], k_max=k_max, seed=seed, progress=progress)
    trials = []
    if tried and given is None and votes:
        trials = try_criteria(X, y, k_max=k_max, seed=seed, progress=progress)
    return Count(votes=votes, off=factors_off(trials), given=given)


def opinions(rows: FloatArray, *, k_max: int, seed: int, progress: Progress) -> dict[str, ClusterSweep]:
    """Return what several criteria say of the number of classes in ``rows (m, e)``, scaled to unit length.

    Empty where there are too few different rows for a range of numbers.
    """
    try:
        return sweep_criteria(
            direction(rows), k_range=(2, k_max), random_state=derive_seed(seed, "opinions"), progress=progress
        )
    except InputError:
        return {}


def try_criteria(X: FloatArray, y: IntArray, *, k_max: int, seed: int, progress: Progress) -> list[Trial]:
    """Ask the criteria for the number of known classes, of which they see the rows alone.

    ``X (n, d)`` with codes ``y (n,)``, -1 where unlabelled, of which nothing is used. Empty with fewer than
    `MIN_KNOWN` known classes. Six trials of k-means for every number of classes up to ``k_max`` on at most 600 rows.
    """
    known = np.unique(y[y >= 0])
    if len(known) < MIN_KNOWN:
        return []
    random = as_generator(derive_seed(seed, "number"))
    most = min(k_max, len(known))
    sizes = [max(2, round(share * most)) for share in TRIED_SHARES for _ in range(TRIALS)]
    trials = []
    for done, size in enumerate(sizes):
        shown = random.permutation(known)[: min(size, max(2, len(known) // 2))]
        rows = direction(X[np.isin(y, shown)])
        try:
            sweeps = sweep_criteria(
                rows,
                k_range=(2, k_max),
                n_runs=RUNS,
                n_init=1,
                max_rows=ROWS,
                random_state=random,
            )
        except InputError:  # fewer different rows than numbers to try
            continue
        trials.append(Trial(classes=len(shown), said={name: sweep.best for name, sweep in sweeps.items()}))
        progress("criteria tried on known classes", done + 1, len(sizes))
    return trials


def factors_off(trials: list[Trial]) -> dict[str, float]:
    """Return by what factor each criterion was off (1 is right), the geometric mean over trials."""
    names = trials[0].said if trials else ()
    return {
        name: float(np.exp(np.mean([abs(np.log(trial.said[name] / trial.classes)) for trial in trials])))
        for name in names
    }


def most_right(off: Mapping[str, float]) -> str | None:
    """Return the criterion that was off by the least; None where none was tried."""
    return min(off, key=lambda name: off[name]) if off else None


def better_is_higher(sweep: ClusterSweep) -> list[float]:
    """Return the means of a sweep on [0, 1], higher is better; of the elbow the depth below the chord."""
    values = np.array(sweep.means)
    ks = np.array(sweep.ks, dtype=float)
    if sweep.index == "elbow":
        values = np.interp(ks, ks[[0, -1]], values[[0, -1]]) - values
    elif sweep.index in SMALLER_IS_BETTER:
        values = -values
    low, high = np.nanmin(values), np.nanmax(values)
    return [float(value) for value in (values - low) / max(high - low, 1e-12)]


def conclude(count: Count, *, chosen: int) -> Iterator[str]:
    """Yield in words how many classes there are, ``chosen`` in the end, and who says so."""
    votes, off = count.votes, count.off
    if not votes:
        return
    said = sorted(sweep.best for sweep in votes.values())
    named = ", ".join(f"{_plain(name)} {sweep.best}" for name, sweep in votes.items())
    start = f"{chosen} classes as asked for" if count.given is not None else f"{chosen} classes"
    spread = f"criteria say {said[0]} to {said[-1]}"
    if said[0] == said[-1]:
        spread = "all criteria agree" if said[0] == chosen else f"all criteria say {said[0]}"
    yield f"{start}; {spread} ({named})"
    best = most_right(off)
    if best is not None:
        worst = max(off, key=lambda name: off[name])
        yield (
            f"shown known classes without their labels, {_plain(best)} came nearest to their number, off by a factor "
            f"of {off[best]:.1f} ({_plain(worst)} by {off[worst]:.1f})"
        )


def _plain(name: str) -> str:
    return name.replace("_", " ")
