"""The only place that judges: paired differences over seeds against what the record fixed before the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from spaceform.errors import InputError
from spaceform.papers import Comparison

VERDICTS = ("reproduced", "weaker", "not reproduced", "contradicted")
"""From best to worst. All four are results; none is an error."""

CONFIDENCE = 0.95

Figures = Mapping[str, Mapping[int, Mapping[str, float]]]
"""``figures[arm][seed][metric]``."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One comparison with its verdict: ``difference`` is the mean over seeds of method minus baseline, in the
    direction that the record calls better; ``low`` and ``high`` bound it with 95% confidence (Student's t).
    """

    name: str
    kind: str
    role: str
    test: str
    metric: str
    method: str
    baseline: str
    baseline_metric: str
    margin: float
    method_mean: float
    baseline_mean: float
    differences: tuple[float, ...]
    difference: float
    low: float
    high: float
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"differences": list(self.differences)}


def judge(comparison: Comparison, figures: Figures) -> Judged:
    """Judge one comparison from the raw figures of its two arms.

    Only seeds that both arms have are used. ``superior``: *reproduced* when the mean difference reaches the
    margin and its interval lies above 0, *weaker* when only one of the two holds and the mean is positive,
    *contradicted* when the interval lies below 0, else *not reproduced*. ``noninferior``: the same after adding
    the margin (may lose up to the margin). ``equivalent``: *reproduced* when the interval lies within plus or
    minus the margin, *weaker* when only the mean does, *contradicted* when the interval lies outside.

    Raises ``InputError`` when an arm or metric is missing, fewer than two paired seeds exist, or a figure is
    not finite.
    """
    method = _column(figures, comparison.method, comparison.metric)
    other = comparison.baseline_metric or comparison.metric
    baseline = _column(figures, comparison.baseline, other)
    seeds = sorted(method.keys() & baseline.keys())
    if len(seeds) < 2:
        raise InputError(
            "seeds", got=len(seeds), expected="at least 2 seeds that both arms ran", remedy="run more seeds"
        )
    ours = np.array([method[seed] for seed in seeds])
    theirs = np.array([baseline[seed] for seed in seeds])
    differences = ours - theirs if comparison.direction == "up" else theirs - ours
    if not np.isfinite(differences).all():
        raise InputError(comparison.metric, got="NaN or an infinity", expected="finite figures of both arms")
    mean, half = float(differences.mean()), _half_width(differences)
    return Judged(
        name=comparison.name,
        kind=comparison.kind,
        role=comparison.role,
        test=comparison.test,
        metric=comparison.metric,
        method=comparison.method,
        baseline=comparison.baseline,
        baseline_metric=other,
        margin=comparison.margin,
        method_mean=float(ours.mean()),
        baseline_mean=float(theirs.mean()),
        differences=tuple(map(float, differences)),
        difference=mean,
        low=mean - half,
        high=mean + half,
        verdict=_verdict(comparison.test, comparison.margin, mean, mean - half, mean + half),
    )


def overall(judged: Sequence[Judged]) -> str:
    """Return the worst verdict of a claim's comparisons; a claim without any is refused."""
    if not judged:
        raise InputError("comparisons", got="none", expected="at least one judged comparison")
    return max((one.verdict for one in judged), key=VERDICTS.index)


def _column(figures: Figures, arm: str, metric: str) -> dict[int, float]:
    if arm not in figures:
        raise InputError("arm", got=repr(arm), expected="one of " + ", ".join(map(repr, figures)))
    missing = [seed for seed, row in figures[arm].items() if metric not in row]
    if missing:
        raise InputError("metric", got=repr(metric), expected=f"a figure that arm {arm!r} returns (seed {missing[0]})")
    return {seed: float(row[metric]) for seed, row in figures[arm].items()}


def _half_width(differences: np.ndarray) -> float:
    n = len(differences)
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * differences.std(ddof=1) / np.sqrt(n))


def _verdict(test: str, margin: float, mean: float, low: float, high: float) -> str:
    if test == "superior":
        good, fair, bad = mean >= margin and low > 0, mean > 0 and (low > 0 or mean >= margin), high < 0
    elif test == "noninferior":
        good, fair, bad = low > -margin, mean > -margin, high < -margin
    else:
        good, fair, bad = -margin < low and high < margin, abs(mean) < margin, low > margin or high < -margin
    return "reproduced" if good else "weaker" if fair else "contradicted" if bad else "not reproduced"
