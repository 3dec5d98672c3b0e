"""The plot of a claim: for each comparison every seed of both arms, joined in pairs, with the verdict above."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spaceform.claims.record import Record
from spaceform.report.figures import ACCENT, QUIET, VERDICT_COLOURS, figure, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 4
"""Small plots in a row."""


def draw(record: Record, path: Path) -> Path:
    """Draw the comparisons of ``record`` to ``path`` (.svg or .png) and return it.

    Each small plot is one comparison: left the baseline, right the method, one line per seed. Lines that all go
    the same way are a gain on every seed; the verdict's colour is the judge's.
    """
    across = min(ACROSS, len(record.comparisons))
    down = math.ceil(len(record.comparisons) / across)
    with figure(2.6 * across, 2.7 * down + 0.5) as drawn:
        axes = drawn.subplots(down, across, squeeze=False).ravel()
        for ax, one in zip(axes, record.comparisons, strict=False):
            _pairs(ax, one, record)
        for ax in axes[len(record.comparisons) :]:
            ax.set_visible(False)
        drawn.suptitle(f"{record.slug}, {record.scale} scale, {len(record.seeds)} seeds: {record.verdict}", fontsize=11)
        return write(drawn, path)


def _pairs(ax: Axes, one: dict[str, Any], record: Record) -> None:
    table = record.figures()
    seeds = [seed for seed in record.seeds if seed in table[one["method"]] and seed in table[one["baseline"]]]
    ours = [table[one["method"]][seed][one["metric"]] for seed in seeds]
    theirs = [table[one["baseline"]][seed][one["baseline_metric"]] for seed in seeds]
    ax.plot([0, 1], [theirs, ours], color=QUIET, linewidth=1, zorder=1)
    ax.scatter([0] * len(seeds), theirs, color=QUIET, s=22, zorder=2)
    ax.scatter([1] * len(seeds), ours, color=ACCENT, s=22, zorder=2)
    ax.set_xlim(-0.35, 1.35)
    ax.set_xticks([0, 1], [_words(one["baseline"]), _words(one["method"])])
    ax.set_ylabel(str(one["metric"]).replace("_", " "))
    ax.set_title("\n".join(textwrap.wrap(one["name"], 34)), fontsize=8)
    colour = VERDICT_COLOURS[one["verdict"]]
    verdict = f"{one['verdict']} ({one['difference']:+.3g})"
    ax.text(0.5, 0.02, verdict, transform=ax.transAxes, ha="center", color=colour, weight="bold")
    ax.margins(y=0.25)


def _words(arm: str) -> str:
    return textwrap.fill(arm.replace("_", " "), 14)
