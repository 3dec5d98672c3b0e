"""Curves of a training over its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from spaceform.report.figures import ACCENT, QUIET, figure
from spaceform.report.plots import finish
from spaceform.workflows.learning.learned import Curves

POINTS = 500
"""Points of a curve: more are not seen."""


def draw_loss(steps: Sequence[int], loss: Sequence[float], *, paths: Sequence[Path]) -> str:
    """Draw the loss of every step and its running mean over a twentieth of the run; return SVG text."""
    window = max(1, len(loss) // 20)
    sums = np.cumsum(np.insert(np.asarray(loss, dtype=np.float64), 0, 0.0))
    first = np.maximum(np.arange(1, len(loss) + 1) - window, 0)
    mean = (sums[1:] - sums[first]) / (np.arange(1, len(loss) + 1) - first)
    thin = slice(None, None, max(1, len(loss) // POINTS))
    with figure(7.2, 2.4) as drawn:
        ax = drawn.add_subplot()
        ax.plot(steps[thin], loss[thin], color=QUIET, linewidth=0.7)
        ax.plot(steps[thin], mean[thin], color=ACCENT, linewidth=1.8)
        ax.set_xlabel("step")
        ax.set_ylabel("loss")
        ax.set_ylim(bottom=min(0.0, float(np.min(loss))))
        return finish(drawn, paths)


def draw_looks(curves: Mapping[str, Curves], *, paths: Sequence[Path]) -> str:
    """Draw recall@1 and MAP@R on held-out rows over the steps, one line for each run; return SVG text."""
    colours = dict(zip(curves, (ACCENT, QUIET), strict=False))
    with figure(7.2, 2.6) as drawn:
        for ax, (attribute, title) in zip(
            drawn.subplots(1, 2), (("recall_at_1", "recall@1"), ("map_at_r", "MAP@R")), strict=True
        ):
            for name, run in curves.items():
                values = getattr(run, attribute)
                ax.plot(run.looks, values, color=colours[name], linewidth=1.8, marker="o", markersize=3, label=name)
                if run.best in run.looks:
                    at = values[run.looks.index(run.best)]
                    ax.plot([run.best], [at], color=colours[name], marker="o", markersize=8, fillstyle="none")
            ax.set_title(f"{title} on held-out rows (ring: kept)")
            ax.set_xlabel("step")
            ax.legend()
        return finish(drawn, paths)


def draw_accuracy(curves: Mapping[str, tuple[Sequence[int], Sequence[float], int]], *, paths: Sequence[Path]) -> str:
    """Draw accuracy over the steps at which it was looked at, and the step that was kept, by run; return SVG text."""
    with figure(7.2, 2.4) as drawn:
        ax = drawn.add_subplot()
        for (name, (looks, values, best)), colour in zip(curves.items(), (ACCENT, QUIET), strict=False):
            ax.plot(looks, values, color=colour, linewidth=1.8, marker="o", markersize=3, label=name)
            if best in looks:
                at = values[list(looks).index(best)]
                ax.plot([best], [at], color=colour, marker="o", markersize=8, fillstyle="none")
        ax.set_title("accuracy on held-out rows (ring: kept)")
        ax.set_xlabel("step")
        ax.legend()
        return finish(drawn, paths)
