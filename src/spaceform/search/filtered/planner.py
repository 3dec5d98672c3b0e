"""What each plan costs on this machine and these rows, measured once; and the plan that costs least for a query."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import get_clock_info, perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceform.search.filtered.scan import bitmaps
from spaceform.search.filtered.scan.bitmaps import Words
from spaceform.types import FloatArray, IntArray

SHARES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.001)
"""Selectivities at which plans are timed; between them times are interpolated in the number of matches."""

GAMMAS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Shares of a cell's radius that are tried when the cell plan is calibrated; 1 is a bound."""

LOCAL_CELLS = 16
"""Cells nearest to a query whose matches tell how dense matches are around it."""

_clock = process_time if get_clock_info("process_time").resolution < 1e-5 else perf_counter
"""Plans are compared by processor time where it is fine enough: on a busy machine the wall clock says little."""

Run = Callable[[str, Words, float], None]
"""Answers the held-out queries by a plan, among matches, at a recall."""


@dataclass(frozen=True)
class Costs:
    """Measured seconds per query of each plan and mode (``S``, ``S exact``, ...) at ``matches``, and recalls by gamma.

    ``recalls[i]`` is the worst mean recall of the cell plan at ``GAMMAS[i]`` over the selectivities tried, with matches
    all over the rows; ``recalls_far`` the same where the cells nearest to the query hold none.
    """

    machine: str
    matches: Sequence[float]
    seconds: Mapping[str, Sequence[float]]
    recalls: Sequence[float]
    recalls_far: Sequence[float]

    def gamma(self, recall: float, *, far: bool = False) -> float:
        """Return the smallest share of the radius that reached a recall half-way between the one asked for and 1."""
        if recall >= 1:
            return 1.0
        aim, reached = (1 + recall) / 2, self.recalls_far if far else self.recalls
        return next((gamma for gamma, got in zip(GAMMAS, reached, strict=True) if got >= aim), 1.0)

    def predict(self, plan: str, matches: float | FloatArray, *, exact: bool) -> FloatArray:
        """Return the expected seconds of a query; infinite for a plan that was not measured."""
        measured = self.seconds.get(plan, self.seconds.get(f"{plan} exact"))
        if exact:
            measured = self.seconds.get(f"{plan} exact")
        if measured is None:
            return np.full(np.shape(matches), np.inf)
        return np.asarray(np.interp(matches, self.matches[::-1], measured[::-1]))

    def predict_cells(self, matches: int, local: FloatArray, n: int, *, exact: bool) -> FloatArray:
        """Return the expected seconds of the cell plan where ``local (q,)`` is the density of matches near a query.

        Where matches are half as dense around the query as overall, or less (negative correlation), all cells are
        counted on: few matches were cheap when they were measured because there were no others to open cells for.
        """
        everything = self.predict("S", matches, exact=exact) + self.predict("I", 0, exact=exact)
        near = self.predict("I", local * n, exact=exact)
        return np.where(local >= max(matches / (2 * n), 1 / n), np.minimum(near, everything), everything)

    def cheapest_cells(self, *, exact: bool) -> float:
        """Return the least that the cell plan may cost."""
        return float(self.predict("I", np.array(self.matches), exact=exact).min())

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "machine": self.machine, "matches": list(self.matches), "recalls": list(self.recalls),
            "recalls_far": list(self.recalls_far),
            "seconds": {name: list(times) for name, times in self.seconds.items()},
        }  # fmt: skip


def this_machine(*, compiled: bool) -> str:
    """Name what the constants depend on: the processor, and whether kernels are compiled."""
    model = ""
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{platform.machine()} {model or platform.processor()} {'compiled' if compiled else 'numpy'}"


def measure(
    run: Run, plans: Sequence[str], n: int, *, modes: Mapping[str, float], drawn: Any
) -> dict[str, list[float]]:
    """Time plans at every selectivity of `SHARES`, best of three; return the seconds per call of ``run``.

    ``modes`` maps the ending of a name ("" or " exact") to a recall; ``drawn`` is a generator for random matches.
    """
    words = [bitmaps.pack(drawn.random(n) < share) for share in SHARES]
    seconds: dict[str, list[float]] = {}
    for plan in plans:
        for ending, recall in modes.items():
            run(plan, words[-1], recall)  # compile, and fetch pages
            seconds[plan + ending] = [_best(run, plan, some, recall) for some in words]
    return seconds


def _best(run: Run, plan: str, words: Words, recall: float) -> float:
    times = []
    for _ in range(3):
        begun = _clock()
        run(plan, words, recall)
        times.append(_clock() - begun)
    return min(times)


def local_density(reach: FloatArray, counts: IntArray, sizes: IntArray) -> FloatArray:
    """Return the share ``(q,)`` of rows that match in the cells nearest to each query; O(q n_cells)."""
    if len(sizes) <= LOCAL_CELLS:
        nearest: NDArray[np.int64] = np.broadcast_to(np.arange(len(sizes)), reach.shape)
    else:
        nearest = np.argpartition(-reach, LOCAL_CELLS, axis=1)[:, :LOCAL_CELLS]
    return counts[nearest].sum(axis=1) / np.maximum(1, sizes[nearest].sum(axis=1))


def recall_of(found: IntArray, truth: IntArray) -> float:
    """Return the mean share of the true answers (-1 is none) that were found; 1 where there are none."""
    shares = [np.isin(b[b >= 0], a).mean() if (b >= 0).any() else 1.0 for a, b in zip(found, truth, strict=True)]
    return float(np.mean(shares))
