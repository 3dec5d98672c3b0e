"""How well a student did beside its teacher and beside itself on labels alone, as plain values and in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from spaceform.workflows.learning.comparison import Gain, resampled

ALONE, TEACHER = "labels alone", "teacher"
Z = 1.959963984540054
"""Half the width of a 95% interval, in standard deviations."""


@dataclass(frozen=True)
class StudentCurves:
    """``steps`` and ``loss`` of every step; ``looks``, the steps at which held-out rows were looked at, ``accuracy``
    then; ``best`` is the step whose weights were kept, ``stopped`` why training ended early.
    """

    steps: list[int]
    loss: list[float]
    looks: list[int] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    best: int = 0
    stopped: str = ""


def measured(right: np.ndarray) -> dict[str, float]:
    """Return accuracy and the ends of its 95% interval (Wilson's) from whether each row ``(n,)`` is right."""
    n, p = len(right), float(right.mean())
    middle, half = p + Z**2 / (2 * n), Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    low, high = max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
    return {"accuracy": p, "low": float(low), "high": float(high)}


def paired_gain(right: np.ndarray, other: np.ndarray, *, seed: int) -> Gain:
    """Return by how much more often ``right`` than ``other`` ``(n,)`` on the same rows, with an interval over rows."""
    return resampled(right.astype(np.float64) - other, seed=seed)


def sentence(figures: Mapping[str, Mapping[str, float]], gains: Mapping[str, Gain], *, method: str, rows: int) -> str:
    """Return in one sentence how the student does, against what ``gains`` compares it with."""
    own = figures[method]
    start = (
        f"On {rows:,} held-out rows the student taught by {method} is right {own['accuracy']:.1%} of the time "
        f"(95% interval {100 * own['low']:.1f} to {100 * own['high']:.1f})"
    )
    told = [
        f"{_points(one)} than {'the same network on labels alone' if name == ALONE else 'its teacher'} "
        f"({figures[name]['accuracy']:.1%}; {_certainty(one)})"
        for name, one in gains.items()
    ]
    return f"{start}: {' and '.join(told)}." if told else f"{start}."


def _points(one: Gain) -> str:
    return f"{100 * abs(one.mean):.1f} points {'more' if one.mean >= 0 else 'less'}"


def _certainty(one: Gain) -> str:
    interval = f"95% interval {100 * one.low:+.1f} to {100 * one.high:+.1f}"
    return interval if one.sure else f"{interval}, so it may be chance"
