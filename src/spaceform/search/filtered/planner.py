"""What each plan costs on this machine and these rows, measured once; and the plan that costs least for a query."""

from __future__ import annotations

import math
import platform
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from time import thread_time
from typing import Any, NamedTuple

import numpy as np

from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.types import FloatArray, IntArray

SHARES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.001)
"""Selectivities at which plans are timed; between them times are interpolated in the number of matches."""

MANY, _HALF = 16, 0.6
"""Queries under one filter with which a matrix product is timed; the share of the time that up to half of them take."""

GAMMAS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Shares of a cell's radius that are tried when the cell plan is calibrated; 1 is a bound."""

_ROUNDS, _LONG = 5, 0.015
"""How often a plan is timed at a selectivity; after so many seconds no longer, once it was timed twice."""

BEAMS = (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448)
"""Lengths of the list of a walk on the graph that are tried when it is calibrated."""

TRIED_K = 10
"""Rows that a query asks for when recalls and times are measured."""

Run = Callable[[str, Sequence[Words], float], None]
"""Answers the held-out queries by a plan, each among matches of its own, at a recall."""


class _Curve(NamedTuple):
    """Seconds by matches, ascending: their slopes up to the next, and the least from each on (and behind the last)."""

    at: list[float]
    seconds: list[float]
    slopes: list[float]
    least: list[float]


@dataclass(frozen=True)
class Costs:
    """Measured seconds per query of each plan and mode (``S``, ``S exact``, ...) at ``matches``, and recalls by gamma.

    ``recalls[i]`` is the worst mean recall of the cell plan at ``GAMMAS[i]`` over the selectivities tried, with matches
    all over the rows; ``recalls_far`` the same where the cells nearest to the query hold none. ``walks`` and
    ``walks_far`` are those of the graph plan at `BEAMS`, empty where there is no graph.
    """

    machine: str
    matches: Sequence[float]
    seconds: Mapping[str, Sequence[float]]
    recalls: Sequence[float]
    recalls_far: Sequence[float]
    walks: Sequence[float] = ()
    walks_far: Sequence[float] = ()
    _curves: dict[tuple[str, bool], _Curve] = field(default_factory=dict, compare=False, repr=False)
    _arrays: dict[tuple[str, bool], tuple[FloatArray, FloatArray]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def gamma(self, recall: float, *, far: bool = False) -> float:
        """Return the smallest share of the radius that reached a recall half-way between the one asked for and 1."""
        if recall >= 1:
            return 1.0
        aim, reached = (1 + recall) / 2, self.recalls_far if far else self.recalls
        return next((gamma for gamma, got in zip(GAMMAS, reached, strict=True) if got >= aim), 1.0)

    def beam(self, recall: float, *, far: bool = False) -> int:
        """Return the shortest list with which walks on the graph reached that recall; 0 if none did."""
        aim, reached = (1 + recall) / 2, self.walks_far if far else self.walks
        tried = zip(BEAMS, reached, strict=False) if recall < 1 else ()
        return next((beam for beam, got in tried if got >= aim), 0)

    def predict(self, plan: str, matches: float, *, exact: bool) -> float:
        """Return the expected seconds of a query; infinite for a plan that was not measured."""
        at, seconds, slopes, _ = self._curves.get((plan, exact)) or self._measured(plan, exact)
        after = bisect_right(at, matches)  # of a handful: NumPy takes longer to begin
        if not after:
            return seconds[0]
        return seconds[after - 1] + slopes[after - 1] * (matches - at[after - 1])

    def least(self, plan: str, matches: float, *, exact: bool) -> float:
        """Return the fewest seconds that a query among ``matches`` or more may take."""
        at, _, _, least = self._curves.get((plan, exact)) or self._measured(plan, exact)
        return min(self.predict(plan, matches, exact=exact), least[bisect_right(at, matches)])

    def curve(self, plan: str, *, exact: bool) -> tuple[FloatArray, FloatArray]:
        """Return the measured seconds by matches, ascending; infinite for a plan that was not measured."""
        key = plan, exact
        if key not in self._arrays:
            at, seconds, _, _ = self._measured(plan, exact)
            self._arrays[key] = np.array(at), np.array(seconds)
        return self._arrays[key]

    def _measured(self, plan: str, exact: bool) -> _Curve:
        """Return what was measured of a plan by matches, ascending; infinite for a plan that was not."""
        measured = self.seconds.get(plan, self.seconds.get(f"{plan} exact"))
        if exact:
            measured = self.seconds.get(f"{plan} exact")
        known = (self.matches, measured) if measured is not None else ([0.0], [math.inf])
        at, seconds = ([float(one) for one in some][::-1] for some in known)
        steps = zip(pairwise(seconds), pairwise(at), strict=True)
        slopes = [(after - before) / (right - left) for (before, after), (left, right) in steps]
        least = list(accumulate([math.inf, *seconds[::-1]], min))[::-1]
        self._curves[plan, exact] = _Curve(at, seconds, [*slopes, 0.0], least)
        return self._curves[plan, exact]

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "machine": self.machine, "matches": list(self.matches), "recalls": list(self.recalls),
            "recalls_far": list(self.recalls_far), "walks": list(self.walks), "walks_far": list(self.walks_far),
            "seconds": {name: list(times) for name, times in self.seconds.items()},
        }  # fmt: skip


def tiles(q: int) -> float:
    """Return how many times as long as for `MANY` a matrix product takes for ``q`` queries."""
    whole, rest = divmod(q, MANY)
    return whole + (_HALF if 0 < rest <= MANY // 2 else float(rest > 0))


def this_machine(*, compiled: bool) -> str:
    """Name what the constants depend on: the processor, and whether kernels are compiled."""
    model = ""
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{platform.machine()} {model or platform.processor()} {'compiled' if compiled else 'numpy'}"


def measure(
    run: Run, asked: Mapping[str, tuple[str, float]], n: int, *, queries: int, drawn: Any
) -> dict[str, list[float]]:
    """Time plans at every selectivity of `SHARES`, best of five; return the seconds per call of ``run``.

    ``asked`` are plans and recalls by name. What takes long is timed less often, since little noise is in it. ``drawn``
    is a generator for random matches, which differ between the ``queries``: rows that the query before has looked at
    would be in the cache.
    """
    words = [[bitmaps.pack(drawn.random(n) < share) for _ in range(queries)] for share in SHARES]
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for plan, recall in asked.values():
        run(plan, words[-1], recall)  # compile, and fetch pages
    for some in words:
        times: dict[str, list[float]] = {name: [] for name in asked}
        for _ in range(_ROUNDS):  # in turns: what slows the machine for a moment slows all plans
            for name, (plan, recall) in asked.items():
                if len(times[name]) > 1 and sum(times[name]) > _LONG:
                    continue
                begun = thread_time()
                run(plan, some, recall)
                times[name].append(thread_time() - begun)
        for name, taken in times.items():
            seconds[name].append(min(taken))
    return seconds


def recall_of(found: IntArray, truth: IntArray) -> float:
    """Return the mean share of the true answers (-1 is none) that were found; 1 where there are none."""
    shares = [np.isin(b[b >= 0], a).mean() if (b >= 0).any() else 1.0 for a, b in zip(found, truth, strict=True)]
    return float(np.mean(shares))
